"""A signal that comes in an import or a destructor is raised behind it: no lock stays held, nothing is lost."""

from __future__ import annotations

import importlib
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bptt import interruptions
from bptt.interruptions import Interrupted, is_put_off, none_is_lost
from bptt.training.checkpoints.termination import Terminated, hear_termination

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGUSR1")


@pytest.fixture
def number() -> Iterator[int]:
    def hear(number: int, frame: FrameType | None) -> None:
        if not is_put_off(number, frame):
            raise Interrupted(number)

    before = signal.signal(signal.SIGUSR1, hear)
    yield signal.SIGUSR1
    time.sleep(2 * interruptions._PAUSE)
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = "bptt_interrupted_import"
    (tmp_path / f"{name}.py").write_text(
        textwrap.dedent("""
        import signal, time

        begun = True
        signal.raise_signal(signal.SIGUSR1)
        time.sleep(0.1)
        ended = True
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield name
    sys.modules.pop(name, None)


class Last:
    """Sends the signal as it goes."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGUSR1)
        sum(range(10))


def wait(seconds: float = 60.0) -> None:
    """Wait for what ends it: so long only where nothing comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


def load_and_wait(name: str) -> None:
    assert importlib.import_module(name).ended
    wait()


def load_and_acquire(name: str, lock: Any) -> None:
    importlib.import_module(name)
    lock.acquire(timeout=60)


def drop_and_wait() -> None:
    with none_is_lost():
        Last()
        wait()


def test_an_import_is_finished_first(number: int, module: str) -> None:
    with pytest.raises(Interrupted) as caught:
        load_and_wait(module)
    assert caught.value.number == number
    assert sys.modules[module].ended


def test_a_waiting_main_thread_is_woken(number: int, module: str) -> None:
    lock = threading.Lock()
    lock.acquire()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        load_and_acquire(module, lock)
    assert time.monotonic() - began < 50


def test_an_import_that_takes_too_long_is_interrupted(
    number: int, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruptions, "_PATIENCE", 0.05)
    path = tmp_path / f"{module}.py"
    path.write_text(path.read_text().replace("0.1", "60"))
    with pytest.raises(Interrupted):
        importlib.import_module(module)
    assert module not in sys.modules


def test_patience_begins_anew_with_every_signal(number: int, module: str) -> None:
    for _ in range(2):
        with pytest.raises(Interrupted):
            load_and_wait(module)
        assert not interruptions._waiting
        del sys.modules[module]


def test_outside_of_imports_it_is_raised_at_once(number: int) -> None:
    with pytest.raises(Interrupted):
        signal.raise_signal(number)
    assert not is_put_off(number, None)


def test_what_a_destructor_swallows_comes_again(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Interrupted):
        drop_and_wait()
    assert capsys.readouterr().err == ""


def test_a_lost_interruption_of_another_kind_comes_as_ctrl_c(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(interruptions, "_send_again", sent.append)

    class Bare:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    with none_is_lost():
        thing = Bare()
        del thing
    assert sent == [signal.SIGINT]
    assert capsys.readouterr().err == ""


def test_other_ignored_exceptions_are_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda ignored: told.append(ignored.exc_type))
    before = sys.unraisablehook

    class Wrong:
        def __del__(self) -> None:
            raise ZeroDivisionError

    with none_is_lost():
        thing = Wrong()
        del thing
    assert told == [ZeroDivisionError]
    assert sys.unraisablehook is before


def test_a_hook_that_was_put_in_its_place_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)

    def other(ignored: object) -> None:
        pass

    with none_is_lost():
        sys.unraisablehook = other
    assert sys.unraisablehook is other


def test_a_program_that_runs_in_an_import_is_interrupted_there(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        textwrap.dedent("""
        import os, signal, threading, time
        from bptt.training.checkpoints.termination import hear_termination

        with hear_termination(wanted=True):
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
            time.sleep(60)
            print("not heard", flush=True)
        """)
    )
    done = subprocess.run(
        [sys.executable, "-c", "import work"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, ""), done.stderr


def test_an_interruption_travels_between_processes() -> None:
    assert pickle.loads(pickle.dumps(Interrupted(15))).number == 15  # made here


def test_a_termination_that_a_destructor_swallows_comes_again() -> None:
    class Going:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            sum(range(10))

    def drop() -> None:
        with hear_termination(wanted=True):
            Going()
            wait()

    passed_on: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: passed_on.append(number))
    try:
        with pytest.raises(Terminated):
            drop()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert passed_on == [signal.SIGTERM]
