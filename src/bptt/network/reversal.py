"""Turning ragged rows around, each within its own length."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]


def reversal(lengths: Index | None, steps: int) -> Index | None:
    """Return the order of steps (T, B) that turns each row around; None where all have one length."""
    if lengths is None:
        return None
    t = np.arange(steps)[:, None]
    return np.where(t < lengths, lengths - 1 - t, t)


def reverse(array: Array, order: Index | None) -> Array:
    """Return an array (T, B, ...) in that order of steps; doing it twice gives the array back."""
    if order is None:
        return array[::-1]
    return array[order, np.arange(array.shape[1])]
