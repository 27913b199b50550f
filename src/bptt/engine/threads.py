"""How many threads a pass may use: a setting of the process, of a `with` block, or of the environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from bptt.checks import check_whole
from bptt.errors import InvalidInput

VARIABLE = "BPTT_NUM_THREADS"

_NO_QUOTA = 2**31

_inside: ContextVar[int | None] = ContextVar("bptt_threads", default=None)


class _Setting:
    """What `set_threads` was last given."""

    threads: int | None = None


def set_threads(threads: int | None) -> None:
    """Let passes of the compiled engine use at most so many threads.

    Parameters
    ----------
    threads : int or None
        At least 1. None goes back to the default: the environment variable ``BPTT_NUM_THREADS``, else every CPU that
        the process has.

    Raises
    ------
    InvalidInput, InvalidType
        Not a whole number, or below 1.

    Notes
    -----
    A pass never uses more threads than the process has CPUs, nor more than one where there is too little work. The
    results are the same to the bit for any number.
    """
    _Setting.threads = None if threads is None else check_whole("threads", threads)


def get_threads() -> int:
    """Return how many threads a pass may use: the setting, but at most the CPUs that the process has.

    Raises
    ------
    InvalidInput
        ``BPTT_NUM_THREADS`` is not a whole number of at least 1.
    """
    asked = _inside.get()
    if asked is None:
        asked = _Setting.threads
    if asked is None:
        asked = _from_environment()
    if asked == 1:  # counting the CPUs takes as long as a step of a small network
        return 1
    cpus = available_cpus()
    return cpus if asked is None else min(asked, cpus)


@contextlib.contextmanager
def use_threads(threads: int | None) -> Iterator[None]:
    """Let passes inside, of this Python thread, use at most so many threads; None changes nothing.

    Raises
    ------
    InvalidInput, InvalidType
        Not a whole number, or below 1.
    """
    if threads is None:
        yield
        return
    before, wanted = _inside.get(), check_whole("threads", threads)
    try:
        # Inside, and put back by value: Ctrl-C may come at any moment, also before a token would have a name.
        _inside.set(wanted)
        yield
    finally:
        _inside.set(before)


def available_cpus() -> int:
    """Return how many CPUs this process may use: its affinity and its share of a container."""
    if hasattr(
        os, "process_cpu_count"
    ):  # Python 3.13; counts the affinity, and can be overridden by the user
        count = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min(count, _quota()))


def read_quota(root: Path) -> int:
    """Return the whole CPUs that a container's quota allows; a great number if there is none.

    More threads than that would be stopped for the rest of a period while others wait for them.
    """
    try:
        try:
            share, period = (root / "cpu.max").read_text(encoding="ascii").split()
        except (OSError, ValueError):
            share, period = (
                (root / "cpu" / f"cpu.cfs_{name}_us").read_text(encoding="ascii")
                for name in ("quota", "period")
            )
        quota, length = int(share), int(period)
    except (OSError, ValueError):  # no such files, or "max"
        return _NO_QUOTA
    return max(1, quota // length) if quota > 0 and length > 0 else _NO_QUOTA


@cache
def _quota() -> int:
    return read_quota(Path("/sys/fs/cgroup"))


def _from_environment() -> int | None:
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        asked = int(text)
    except ValueError:
        asked = 0
    if asked < 1:
        raise InvalidInput(f"{VARIABLE} must be a whole number of at least 1. Got {text!r}")
    return asked
