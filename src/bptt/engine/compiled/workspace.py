"""Memory for a pass. Fresh pages cost as much as the work done on them, so memory is used again.

What a tape keeps is lent (`new_block`) and comes back when the last array that shows it is gone; what a kernel forgets
is scratch memory of the calling thread.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# One cache line, and one vector of the widest machines.
ALIGNMENT = 64
# Idle memory is kept up to this size (bytes): lent blocks together, and scratch memory of each thread and dtype.
KEPT = 256 * 2**20


class _Idle:
    """Blocks that nobody shows, by size: a training loop asks for the same sizes again and again."""

    def __init__(self) -> None:
        self.blocks: dict[int, list[Array]] = {}
        self.total = 0

    def take(self, size: int) -> Array:
        """Return a block of exactly `size` bytes."""
        try:
            raw = self.blocks[size].pop()
        except (KeyError, IndexError):
            return np.empty(size, np.uint8)
        self.total -= size
        return raw

    def give(self, raw: Array) -> None:
        """Take a block back. It runs whenever an array is freed, on any thread, so it holds no lock."""
        if self.total + raw.nbytes > KEPT:
            self.blocks, self.total = {}, 0
        if raw.nbytes <= KEPT:
            self.total += raw.nbytes
            self.blocks.setdefault(raw.nbytes, []).append(raw)


_idle = _Idle()


class _Loan:
    """What NumPy holds on to while any array shows a block."""

    def __init__(self, size: int) -> None:
        self.idle = _idle  # held, as a module's names are gone before the last arrays at the end of a process
        self.raw = self.idle.take(size)
        self.__array_interface__ = self.raw.__array_interface__

    def __del__(self) -> None:
        self.idle.give(self.raw)


class _Own(threading.local):
    def __init__(self) -> None:
        self.blocks: dict[np.dtype[Any], Array] = {}


_own = _Own()


def new_block(count: int, dtype: np.dtype[Any]) -> Array:
    """Return `count` numbers, aligned and not initialised."""
    raw = np.asarray(_Loan(count * dtype.itemsize + ALIGNMENT))
    start = -address(raw) % ALIGNMENT
    return raw[start : start + count * dtype.itemsize].view(dtype)


def scratch(count: int, dtype: np.dtype[Any]) -> Array:
    """Return `count` numbers that hold until this thread's next call."""
    blocks = _own.blocks
    kept = blocks.get(dtype)
    if kept is None or len(kept) < count:
        kept = new_block(count, dtype)
        if kept.nbytes <= KEPT:
            blocks[dtype] = kept
    return kept[:count]


def address(array: Array) -> int:
    """Return where an array's first number lies."""
    return int(array.__array_interface__["data"][0])
