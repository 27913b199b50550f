"""How many threads: the setting, the environment, a block, and what the machine has."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.engine import get_threads, set_threads, threads, use_threads
from bptt.errors import InvalidInput, InvalidType


@pytest.fixture(autouse=True)
def _eight_cpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("BPTT_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "available_cpus", lambda: 8)
    yield
    set_threads(None)


def test_the_default_is_every_cpu_and_more_are_never_used() -> None:
    assert get_threads() == 8
    set_threads(3)
    assert get_threads() == 3
    set_threads(np.int64(20))
    assert get_threads() == 8
    set_threads(None)
    assert get_threads() == 8


def test_the_environment_is_asked_where_nothing_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTT_NUM_THREADS", "5")
    assert get_threads() == 5
    set_threads(2)
    assert get_threads() == 2
    set_threads(None)
    monkeypatch.setenv("BPTT_NUM_THREADS", " ")
    assert get_threads() == 8


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5"])
def test_a_wrong_environment_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTT_NUM_THREADS", text)
    with pytest.raises(InvalidInput) as found:
        get_threads()
    assert str(found.value) == f"BPTT_NUM_THREADS must be a whole number of at least 1. Got '{text}'"


@pytest.mark.parametrize("setting", [set_threads, lambda n: use_threads(n).__enter__()])
def test_a_wrong_setting_is_an_error(setting: Any) -> None:
    for wrong in (0, -1):
        with pytest.raises(InvalidInput, match=f"^threads must be at least 1. Got {wrong}$"):
            setting(wrong)
    for wrong in (1.0, "2", True):
        with pytest.raises(InvalidType, match=f"^threads must be a whole number. Got {wrong!r}$"):
            setting(wrong)
    assert get_threads() == 8


def test_a_block_counts_for_its_own_thread_and_ends() -> None:
    set_threads(6)
    elsewhere = []
    with use_threads(2):
        assert get_threads() == 2
        with use_threads(4):
            assert get_threads() == 4
        with use_threads(None):
            assert get_threads() == 2
        other = threading.Thread(target=lambda: elsewhere.append(get_threads()))
        other.start()
        other.join()
    assert elsewhere == [6]
    assert get_threads() == 6
    with pytest.raises(KeyError), use_threads(1):
        raise KeyError
    assert get_threads() == 6


def test_the_affinity_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(threads, "_quota", lambda: 1000)
    if hasattr(os, "process_cpu_count"):
        monkeypatch.setattr(os, "process_cpu_count", lambda: 3)
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda who: {0, 2, 5}, raising=False)
    assert threads.available_cpus() == 3
    monkeypatch.setattr(threads, "_quota", lambda: 2)
    assert threads.available_cpus() == 2


@pytest.mark.parametrize(
    ("files", "allowed"),
    [
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "400000 100000\n"}, 4),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 2**31),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2**31),
        ({"cpu.max": "nonsense\n"}, 2**31),
        ({}, 2**31),
    ],
)
def test_a_containers_quota_counts(files: dict[str, str], allowed: int, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads.read_quota(tmp_path) == allowed


def test_an_interrupt_at_any_moment_leaves_the_setting_as_it_was() -> None:
    """A signal comes between two steps of the interpreter: here after each of them in turn."""

    def block() -> None:
        with use_threads(3):
            pass

    def run(stop_at: int) -> int:
        """Run the block, with an interrupt before its so-manieth line; return how many lines there were."""
        seen = 0

        def trace(frame: Any, event: str, argument: Any) -> Any:
            nonlocal seen
            if frame.f_code.co_filename != threads.__file__:
                return (
                    trace
                    if frame.f_code is block.__code__ or "contextlib" in frame.f_code.co_filename
                    else None
                )
            if event == "line":
                seen += 1
                if seen == stop_at:
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            block()
        finally:
            sys.settrace(before)
        return seen

    lines = run(0)
    assert lines >= 4
    for stop_at in range(1, lines):  # the last one is where it is put back
        with pytest.raises(KeyboardInterrupt):
            run(stop_at)
        assert threads._inside.get() is None, stop_at


def test_what_tests_import_leaves_the_number_of_threads_alone() -> None:
    import benchmarks.doctor.__main__ as doctor

    assert doctor.HEALTHY
    importlib.reload(doctor)
    assert "BPTT_NUM_THREADS" not in os.environ
