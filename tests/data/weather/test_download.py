"""Downloads: a short wait, a limit, a checksum; against a server on this machine."""

import hashlib
import http.server
import threading

import pytest

from bptt.data.weather import download as module
from bptt.data.weather.download import download, offline
from bptt.errors import DataError

BODY = bytes(range(256)) * 700
SHA256 = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/gone":
            self.send_error(404, "Not here")
            return
        if self.path == "/mute":
            self.server.holding.set()
            self.server.released.wait(30)
            self.server.holding.clear()
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/slow":
            self.wfile.write(BODY[:100_000])
            self.wfile.flush()
            self.server.released.wait(30)
            return
        self.wfile.write(BODY)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("BPTT_OFFLINE")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.released, running.holding = threading.Event(), threading.Event()
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.address = f"http://127.0.0.1:{running.server_address[1]}"
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


def said(address, **options):
    with pytest.raises(DataError) as caught:
        download(address, **({"sha256": SHA256, "limit": 1_000_000, "answer_within": 60.0} | options))
    text = str(caught.value)
    assert "\n" not in text
    return text.removeprefix(address)


def test_the_bytes_come_whole(server):
    assert download(f"{server.address}/file", sha256=SHA256, limit=len(BODY), answer_within=60.0) == BODY


def test_another_file_is_refused(server):
    wanted = "0" * 64
    assert said(f"{server.address}/file", sha256=wanted) == (
        f" must have the sha256 {wanted}. Got {SHA256}: it is another file, or was changed on the way"
    )


def test_a_file_that_is_too_long_is_refused(server):
    assert said(f"{server.address}/file", limit=len(BODY) - 1) == (
        f" must be a file of at most {len(BODY) - 1} bytes. Got more"
    )


def test_a_missing_file_and_a_closed_port(server):
    assert said(f"{server.address}/gone") == " must be reachable. Got: 404 Not here"
    assert said("http://127.0.0.1:9/file").startswith(" must be reachable. Got: ")


def test_a_server_that_never_answers_is_given_up(server):
    assert said(f"{server.address}/mute", answer_within=0.2).startswith(" must ")
    assert server.holding.wait(30)  # the server still holds the connection: nobody waited for it


def test_a_name_that_takes_too_long_to_look_up_is_given_up(server, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(module, "_fetch", lambda *arguments: released.wait(10))
    assert (
        said("http://nowhere.invalid/file", answer_within=0.05) == " must answer within 0.05 s. Got no answer"
    )
    released.set()


def test_a_server_that_stops_in_the_middle_is_given_up(server, monkeypatch):
    monkeypatch.setattr(module, "ARRIVE_WITHIN", 0.2)
    assert (
        said(f"{server.address}/slow", answer_within=60.0)
        == " must answer in full within 0.2 s. Got no answer"
    )


def test_offline_never_asks(server, monkeypatch):
    monkeypatch.setenv("BPTT_OFFLINE", "1")
    monkeypatch.setattr(module, "_fetch", lambda *arguments: pytest.fail("asked"))
    assert said(f"{server.address}/file") == (
        " must not be fetched while BPTT_OFFLINE is set. Got BPTT_OFFLINE=1"
    )


@pytest.mark.parametrize(
    ("value", "wanted"), [("1", True), ("yes", True), ("0", False), ("", False), (None, False)]
)
def test_what_counts_as_offline(monkeypatch, value, wanted):
    if value is None:
        monkeypatch.delenv("BPTT_OFFLINE", raising=False)
    else:
        monkeypatch.setenv("BPTT_OFFLINE", value)
    assert offline() is wanted
