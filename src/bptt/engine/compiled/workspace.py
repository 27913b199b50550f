"""Memory for a pass. Fresh pages cost as much as the work done on them, so memory is used again.

What a tape keeps is lent (`new_block`), and again once the last array that shows it is gone; what a kernel forgets
is scratch memory of the calling thread.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# One cache line, and one vector of the widest machines.
ALIGNMENT = 64
# Memory is kept up to this size (bytes): all blocks together, and scratch memory of each thread and dtype.
KEPT = 256 * 2**20


class _Idle:
    """Blocks that were lent, by size: a training loop asks for the same sizes again and again.

    A block is idle when nobody but this list holds it. That is asked when one is wanted; a `__del__` would tell at
    once, but Ctrl-C is lost if it comes while Python runs one.
    """

    def __init__(self) -> None:
        self.blocks: dict[int, list[Array]] = {}
        self.total = 0
        self.lock = threading.Lock()

    def take(self, size: int) -> Array:
        """Return a view of a block of exactly `size` bytes."""
        with self.lock:
            for raw in self.blocks.get(size, ()):
                if sys.getrefcount(raw) == _NOBODY:
                    return raw.view()
            if self.total + size > KEPT:
                self._forget_idle()
        raw = np.empty(size, np.uint8)
        with self.lock:
            if self.total + size <= KEPT:
                self.blocks.setdefault(size, []).append(raw)
                self.total += size
        return raw.view()

    def _forget_idle(self) -> None:
        kept: dict[int, list[Array]] = {}
        for size, blocks in self.blocks.items():
            used = [raw for raw in blocks if sys.getrefcount(raw) > _NOBODY]
            if used:
                kept[size] = used
        self.blocks = kept
        self.total = sum(size * len(blocks) for size, blocks in kept.items())


def _count_nobody() -> int:
    """Return the references to a block that is in a list and looked at by a loop, as Python counts them."""
    for raw in [np.empty(1, np.uint8)]:
        return sys.getrefcount(raw)
    raise AssertionError


_NOBODY = _count_nobody()
_idle = _Idle()


def _forget() -> None:
    """In a forked child the lock may be held by a thread that is not there."""
    global _idle
    _idle = _Idle()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class _Own(threading.local):
    def __init__(self) -> None:
        self.blocks: dict[np.dtype[Any], Array] = {}


_own = _Own()


def new_block(count: int, dtype: np.dtype[Any]) -> Array:
    """Return `count` numbers, aligned and not initialised."""
    raw = _idle.take(count * dtype.itemsize + ALIGNMENT)
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
    try:  # a fifth of the time, for what can be written and lies in one piece
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]  # arrays are buffers
    except (TypeError, ValueError, BufferError):
        return int(array.__array_interface__["data"][0])


def places(counts: Iterable[tuple[str, int]], itemsize: int) -> tuple[dict[str, int], int]:
    """Return where each array starts in a block of memory and the block's size, in numbers.

    Parameters
    ----------
    counts : iterable of (str, int)
        Names of the arrays and the numbers in each.
    itemsize : int
        Bytes of a number.
    """
    align = ALIGNMENT // itemsize
    found: dict[str, int] = {}
    end = 0
    for name, count in counts:
        found[name] = end
        end += -(-count // align) * align
    return found, end
