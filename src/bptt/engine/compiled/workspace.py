"""Memory for a pass: what a tape keeps is new each time, what a kernel forgets is used again."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# One cache line, and one vector of the widest machines.
ALIGNMENT = 64
# Fresh pages cost as much as the work on them, so scratch memory is kept up to this size (bytes, a thread).
KEPT = 256 * 2**20


class _Own(threading.local):
    def __init__(self) -> None:
        self.blocks: dict[np.dtype[Any], Array] = {}


_own = _Own()


def new_block(count: int, dtype: np.dtype[Any]) -> Array:
    """Return `count` numbers, aligned and not initialised."""
    raw = np.empty(count * dtype.itemsize + ALIGNMENT, np.uint8)
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
