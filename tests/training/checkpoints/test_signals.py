"""Ctrl-C, SIGTERM and a full disk while a run keeps checkpoints."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.optim import Adam
from bptt.training import History, read_checkpoint, train
from bptt.training.checkpoints import saving
from tests.training.setups import assert_same_bits, copy_of, make_data, make_net

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits as POSIX has them")

DATA = make_data(np.random.default_rng(0))
SETTINGS: dict[str, Any] = {"steps": 60, "optimizer": Adam(0.01), "clip": 1.0, "progress": False}


class Send:
    """Sends a signal to this process after a step, and then some."""

    def __init__(self, number: int, step: int, times: int = 1) -> None:
        self.number, self.step, self.times = number, step, times

    def __call__(self, event: Any) -> None:
        if event.step == self.step:
            signal.raise_signal(self.number)

    def finish(self, history: History) -> None:
        for _ in range(self.times - 1):
            signal.raise_signal(self.number)


@pytest.fixture
def terminations() -> Any:
    """Return the SIGTERMs that a handler of the program's own gets."""
    got: list[int] = []

    def handler(number: int, frame: Any) -> None:
        got.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield got
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_sigterm_writes_a_checkpoint_and_is_passed_on(tmp_path: Path, terminations: list[int]) -> None:
    path, whole = tmp_path / "run.ckpt", make_net()
    train(whole, DATA, **SETTINGS)
    # Several: one is raised, and the run is brought to its end undisturbed.
    stop = Send(signal.SIGTERM, 4, times=3)
    history = train(make_net(), DATA, **SETTINGS, checkpoint=path, callbacks=[stop])
    assert (history.stopped_because, history.steps) == ("interrupted", 5)
    assert terminations == [signal.SIGTERM]
    assert read_checkpoint(path).step == 5
    net = make_net()
    train(net, DATA, **SETTINGS, checkpoint=path, resume=True)
    assert_same_bits(net.parameters, whole.parameters)


def test_the_handler_is_there_only_while_it_is_asked_for(tmp_path: Path, terminations: list[int]) -> None:
    seen: list[bool] = []
    own = signal.getsignal(signal.SIGTERM)
    look = [lambda event: seen.append(signal.getsignal(signal.SIGTERM) is own)]
    few = SETTINGS | {"steps": 1, "callbacks": look}
    train(make_net(), DATA, **few)
    train(make_net(), DATA, **few, checkpoint=tmp_path / "1.ckpt")
    train(make_net(), DATA, **few, resume=tmp_path / "1.ckpt")  # nothing left to do, and nothing kept
    thread = threading.Thread(
        target=train, args=(make_net(), DATA), kwargs=few | {"checkpoint": tmp_path / "2.ckpt"}
    )
    thread.start()
    thread.join()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    train(make_net(), DATA, **few, checkpoint=tmp_path / "3.ckpt", threads=1)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    signal.signal(signal.SIGTERM, own)
    assert seen == [True, False, True, False]
    assert terminations == []


def test_it_is_put_back_after_an_error(tmp_path: Path, terminations: list[int]) -> None:
    def fail(event: Any) -> None:
        raise ValueError("own")

    with pytest.raises(ValueError, match="own"):
        train(make_net(), DATA, **SETTINGS, checkpoint=tmp_path / "run.ckpt", callbacks=[fail])


# An interrupt that Python delivers within a __del__ is lost, with a warning; the run goes on.
@pytest.mark.usefixtures("no_garbage")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@posix_only
def test_interrupts_at_any_moment_leave_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    held_out = make_data(np.random.default_rng(1), count=19)
    settings = SETTINGS | {"validation": held_out, "evaluate_every": 7, "early_stopping": 50}
    whole = make_net("elman")
    # A run that compiles its kernels takes many times as long as those that are to be interrupted.
    train(make_net("elman"), DATA, **settings)
    begun = time.perf_counter()
    expected = train(whole, DATA, **settings, checkpoint=tmp_path / "whole.ckpt", checkpoint_every=3)
    spent = time.perf_counter() - begun
    rng = np.random.default_rng(5)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupted = 0
    try:
        for number in range(40):
            if number >= 4 and interrupted:
                break
            path, net, delay = tmp_path / f"{number}.ckpt", make_net("elman"), rng.uniform(0.0, 0.5) * spent
            if not interrupted:
                spent /= 2  # it may have taken longer than it does now: something else was going on
            for _ in range(100):
                try:
                    try:
                        signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-4))
                        history = train(
                            net, DATA, **settings, checkpoint=path, checkpoint_every=3, resume=True
                        )
                    finally:  # inside: the signal may come while the timer is put off
                        signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    interrupted += 1
                    delay *= 1.5  # a fast machine gets no further within one delay
                    continue
                if history.stopped_because != "interrupted":
                    break
                interrupted += 1
                delay *= 1.5
            np.testing.assert_array_equal(history.losses, expected.losses)
            assert history.validation == expected.validation
            assert_same_bits(net.parameters, whole.parameters)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 0
    assert {each.suffix for each in tmp_path.iterdir()} == {".ckpt"}


# A command of one's own within the command line: it trains until it is stopped.
COMMAND = """
import numpy as np
import bptt
from bptt.cli.main import main
from bptt.cli.apps import app

@app.command("train")
def work(keep: bool = False) -> None:
    rng = np.random.default_rng(0)
    data = rng.standard_normal((40, 6, 3)), rng.standard_normal((40, 2))
    net = bptt.Network(bptt.Recurrent("gru", 3, 5), 2)
    def tell(event):
        if event.step == 3:
            print("ready", flush=True)
    settings = {"checkpoint": "run.ckpt"} if keep else {}
    history = bptt.train(net, data, steps=10**7, callbacks=[tell], progress=False, **settings)
    if history.stopped_because == "interrupted":
        raise KeyboardInterrupt

main()
"""
# The same without the command line: the signal's own effect follows.
PLAIN = """
import numpy as np
import bptt

rng = np.random.default_rng(0)
data = rng.standard_normal((40, 6, 3)), rng.standard_normal((40, 2))
net = bptt.Network(bptt.Recurrent("gru", 3, 5), 2)
def tell(event):
    if event.step == 3:
        print("ready", flush=True)
bptt.train(net, data, steps=10**7, callbacks=[tell], progress=False, checkpoint="run.ckpt", resume=True)
print("went on")
"""


def stopped(program: str, number: int, folder: Path, *words: str) -> tuple[int, str, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A runner in the background may ignore SIGINT, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    rest, errors = process.communicate(timeout=60)
    # Whoever is the first on a machine is told that it compiles.
    errors = "".join(line for line in errors.splitlines(keepends=True) if "compiling for" not in line)
    return process.returncode, rest, errors


@posix_only
@pytest.mark.parametrize(
    ("number", "status", "word", "words"),
    [
        (signal.SIGINT, 130, "interrupted", ()),
        (signal.SIGTERM, 143, "terminated", ("--keep",)),
        pytest.param(signal.SIGINT, 130, "interrupted", ("--keep",), marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, "terminated", (), marks=pytest.mark.slow),
    ],
)
def test_the_command_line_says_one_line_and_ends_with_the_signals_status(
    number: int, status: int, word: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    assert stopped(COMMAND, number, tmp_path, "train", *words) == (status, "", f"bptt: {word}\n")
    assert not words or read_checkpoint(tmp_path / "run.ckpt").step > 3


@posix_only
def test_a_program_ends_by_sigterm_and_says_where_it_stopped(tmp_path: Path) -> None:
    status, rest, errors = stopped(PLAIN, signal.SIGTERM, tmp_path)
    step = read_checkpoint(tmp_path / "run.ckpt").step
    assert (status, rest) == (-signal.SIGTERM, "")
    assert errors == f"terminated at step {step} of 10000000: go on with resume=True (run.ckpt)\n"


# ---------------------------------------------------------------- a disk that is full


def test_a_checkpoint_that_cannot_be_written_is_one_line_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, whole = tmp_path / "run.ckpt", make_net()
    train(whole, DATA, **SETTINGS)
    real, calls = os.fsync, [0]

    def full(handle: int) -> None:
        calls[0] += 1
        # Two a checkpoint, the file and its folder: those of steps 0 and 4 are written, the next three are not.
        if 5 <= calls[0] <= 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    seen: list[int] = []
    few = SETTINGS | {"steps": 24}
    look = lambda event: seen.append(read_checkpoint(path).step)  # noqa: E731
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "bptt.training"):
        patch.setattr(os, "fsync", full)
        net = make_net()
        train(net, DATA, **few, checkpoint=path, checkpoint_every=4, callbacks=[look])
    assert caplog.messages == [
        f"checkpoint of step {step} not written, the one before it is kept: path must be writable. Got {str(path)!r}: "
        "No space left on device"
        for step in (8, 12, 16)
    ]
    assert seen == [0] * 4 + [4] * 16 + [20] * 4
    assert read_checkpoint(path).step == 24
    assert [each.name for each in tmp_path.iterdir()] == ["run.ckpt"]
    train(net, DATA, **SETTINGS, checkpoint=path, resume=True)
    assert_same_bits(net.parameters, whole.parameters)


def test_the_first_checkpoint_must_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    net = make_net()
    before = copy_of(net)
    with pytest.raises(InvalidInput, match=r"^path must be writable\. Got .* No space left on device$"):
        train(net, DATA, **SETTINGS, checkpoint=tmp_path / "run.ckpt")
    assert_same_bits(net.parameters, before)
    assert list(tmp_path.iterdir()) == []


@posix_only
def test_a_disk_that_is_full_at_any_byte_leaves_the_old_file(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "run.ckpt"
    train(make_net(), DATA, **SETTINGS | {"steps": 3}, checkpoint=path)
    old, kept = path.read_bytes(), read_checkpoint(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    new = len(old) - kept.rows.nbytes * 2 // 3
    for room in (0, 1, 8, 4095, 4096, *np.linspace(100, new - 1000, 40).astype(int)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), hard))
        try:
            with pytest.raises(InvalidInput, match=r"^path must be writable\. Got .* File too large$"):
                saving.write_checkpoint(path, kept)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == old
        assert [each.name for each in tmp_path.iterdir()] == ["run.ckpt"]


def test_leftovers_of_killed_runs_are_cleared(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    train(make_net(), DATA, **SETTINGS | {"steps": 1}, checkpoint=path)
    from bptt.atomic import _part_prefix

    own = tmp_path / f"{_part_prefix(path)}0123.part"
    other = tmp_path / f"{_part_prefix(tmp_path / 'other.ckpt')}0123.part"
    for part in (own, other):
        part.write_bytes(b"half a checkpoint")
    train(make_net(), DATA, **SETTINGS | {"steps": 2}, checkpoint=path, resume=True)
    assert not own.exists()
    assert other.exists()


def test_by_default_the_clock_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(saving.time, "monotonic", lambda: now[0])
    steps: list[int] = []
    write = saving.write_checkpoint

    def slow(path: Any, kept: Any) -> Any:
        steps.append(kept.step)
        now[0] += 2.0  # so that 50 times as long pass before the next one
        return write(path, kept)

    monkeypatch.setattr(saving, "write_checkpoint", slow)

    def tick(event: Any) -> None:
        now[0] += 10.0

    train(make_net(), DATA, **SETTINGS | {"steps": 25}, checkpoint=tmp_path / "run.ckpt", callbacks=[tick])
    assert steps == [0, 10, 20, 25]
    # A minute where they take no time.
    steps.clear()
    monkeypatch.setattr(saving, "write_checkpoint", lambda path, kept: steps.append(kept.step))
    train(make_net(), DATA, **SETTINGS | {"steps": 15}, checkpoint=tmp_path / "2.ckpt", callbacks=[tick])
    assert steps == [0, 6, 12, 15]
