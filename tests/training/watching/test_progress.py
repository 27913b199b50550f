from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.training import Event, ProgressBar, train
from bptt.training.watching.progress import get_progress
from tests.training.setups import assert_same_bits, make_data, make_net


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def attach(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in the place of stderr; called by the test itself, as pytest sets its own after the fixtures."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return found


def test_a_terminal_gets_a_bar(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = attach(monkeypatch)
    data = make_data(rng)
    history = train(make_net(), data, steps=40, validation=data, evaluate_every=40)
    text = terminal.getvalue()
    assert "training" in text
    assert f"40/40 loss {history.losses[-1]:.4g} validation {history.validation[-1][1]:.4g}" in _plain(text)
    assert text.count("\n") == 1  # drawn over and over on one line
    assert text.endswith("\x1b[?25h")  # and the cursor is given back


def test_false_shows_none(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = attach(monkeypatch)
    train(make_net(), make_data(rng), steps=3, progress=False)
    assert terminal.getvalue() == ""


def test_a_pipe_gets_none(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    train(make_net(), make_data(rng), steps=3)
    assert pipe.getvalue() == ""
    assert capfd.readouterr() == ("", "")


def test_true_shows_one_anywhere(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    monkeypatch.setenv("COLUMNS", "120")
    train(make_net(), make_data(rng), steps=3, progress=True)
    assert "3/3" in pipe.getvalue()
    assert "\x1b" not in pipe.getvalue()


def test_a_callback_takes_its_place(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = attach(monkeypatch)
    seen: list[Event] = []
    train(make_net(), make_data(rng), steps=3, progress=seen.append)
    assert len(seen) == 3
    assert terminal.getvalue() == ""


def test_one_bar_for_several_runs(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = attach(monkeypatch)
    data = make_data(rng)
    bar = ProgressBar("weather [lab]", runs=3)
    for steps in (3, 5, 4):
        train(make_net(), data, steps=steps, progress=bar)
    text = _plain(terminal.getvalue())
    for run in ("weather [lab] 1/3", "weather [lab] 2/3", "weather [lab] 3/3"):
        assert run in text
    assert text.count("\n") == 1
    assert terminal.getvalue().count("\x1b[?25h") == 1


def test_an_interrupted_run_closes_the_bar(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = attach(monkeypatch)

    def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    bar = ProgressBar(runs=3)
    # The bar is told of the first step, and then the run is interrupted.
    train(make_net(), make_data(rng), steps=3, callbacks=[bar, interrupt], progress=False)
    assert terminal.getvalue().endswith("\x1b[?25h")


def test_it_is_drawn_ten_times_a_second_at_most(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach(monkeypatch)
    ticks = iter(np.arange(100, 200, 0.03))
    monkeypatch.setattr("bptt.training.watching.progress.time.monotonic", lambda: next(ticks))
    drawn: list[dict[str, Any]] = []
    monkeypatch.setattr(ProgressBar, "_draw", lambda self, **fields: drawn.append(fields))
    train(make_net(), make_data(rng), steps=18)
    # At 0, 0.12, 0.24, ... seconds, and at the end.
    assert [fields["steps"] for fields in drawn] == [f"{k}/18" for k in (1, 5, 9, 13, 17, 18)]
    np.testing.assert_allclose(
        [fields["completed"] for fields in drawn], np.array([1, 5, 9, 13, 17, 18]) / 18, rtol=1e-15, atol=0
    )


class Broken(Terminal):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError("gone"), ValueError("I/O operation on closed file")]
)
def test_a_broken_terminal_stops_the_bar_and_not_the_training(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    data = make_data(rng)
    net, silent = make_net(), make_net()
    monkeypatch.setattr(sys, "stderr", Broken(error))
    train(net, data, steps=4)
    train(silent, data, steps=4, progress=False)
    assert_same_bits(net.parameters, silent.parameters)


def test_without_stderr_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert get_progress(None) == ()
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert get_progress(None) == ()


def test_runs_must_be_a_count() -> None:
    with pytest.raises(InvalidInput, match=r"^runs must be at least 1. Got 0$"):
        ProgressBar(runs=0)


SCRIPT = """
import numpy as np, sys
from bptt.network import Network, Recurrent
from bptt.training import train
rng = np.random.default_rng(0)
net = Network(Recurrent("elman", 2, 3))
train(net, (rng.standard_normal((9, 4, 2)), rng.standard_normal((9, 1))), steps=20, progress=PROGRESS)
print("done", "rich" in sys.modules)
"""


@pytest.mark.skipif(os.name != "posix", reason="the reading end of a pipe is closed as POSIX does it")
def test_a_reader_that_went_away_costs_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        found = subprocess.run(
            [sys.executable, "-c", SCRIPT.replace("PROGRESS", "True")],
            stdout=subprocess.PIPE, stderr=writing, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert found.stdout == "done True\n"


def test_a_pipe_does_not_load_rich() -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("PROGRESS", "None")],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert (found.stdout, found.stderr) == ("done False\n", "")


def _plain(text: str) -> str:
    """Return text without the terminal's control sequences."""
    parts = text.split("\x1b[")
    return parts[0] + "".join(part.lstrip("0123456789;?")[1:] for part in parts[1:])
