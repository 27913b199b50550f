"""Where a source keeps its examples, for an engine that picks them up by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.data.examples.arrays import Arrays
from bptt.data.examples.batch import Array, Source
from bptt.data.examples.partly_seen import PartlySeen
from bptt.data.examples.sequences import Sequences
from bptt.data.examples.windows import Windows

Whole = npt.NDArray[np.int64]

# What may be copied to have the arrays in the working dtype, in bytes. Beyond it batches are copied one by one.
_COPIED = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Resident:
    """Examples as rows of arrays that stay where they are.

    Attributes
    ----------
    x : ndarray (N, D)
        Example i reads `length` rows from row ``x_starts[i]`` on.
    y : ndarray (M, K), or integer (M,)
        Its targets are `y_length` rows from row ``y_starts[i]`` on: one, or one a step.
    weights : ndarray (length,) or None
        Of the steps, the same for every example.
    weights_of : callable, optional
        Where examples differ: takes indices (B,), returns the weights of a batch, (B,) or (B, length). Steps at 0 in
        `weights` then count in no example.
    """

    x: Array
    x_starts: Whole
    length: int
    y: Array
    y_starts: Whole
    y_length: int
    weights: Array | None
    weights_of: Callable[[Whole], Array] | None = None


def find_resident(source: Source, dtype: np.dtype[Any]) -> Resident | None:
    """Return where the examples lie, in the working dtype; None for a source that must be asked for batches."""
    # Not by isinstance: a subclass may make its batches differently, and so may a method put in the place of another.
    if "batch" in getattr(source, "__dict__", {}):
        return None
    if type(source) in (Windows, Sequences):
        assert isinstance(source, (Windows, Sequences))
        x = _in_dtype(source.x_rows, dtype)
        rows = len(source.x_rows)
        if x is None or rows * len(source.targets) * dtype.itemsize > _COPIED:
            return None
        y = source.target_columns(dtype)
        starts = source.starts.astype(np.int64, copy=False)
        # Counted from the first target on, so that the same starts will do.
        if isinstance(source, Windows):
            return Resident(x, starts, source.length, y[source.span - 1 :], starts, 1, None)
        return Resident(
            x, starts, source.length, y[source.horizon :], starts, source.length, source.step_weights
        )
    if type(source) is PartlySeen:
        assert isinstance(source, PartlySeen)
        found = find_resident(source.sequences, dtype)
        if found is None:
            return None
        starts = source.starts.astype(np.int64, copy=False)
        return replace(found, x_starts=starts, y_starts=starts, weights_of=source.weights_of)
    if type(source) is Arrays and source.lengths is None:
        return _of_arrays(source, dtype)
    return None


def _of_arrays(source: Arrays, dtype: np.dtype[Any]) -> Resident | None:
    count, T, D = source.x.shape
    weights, weights_of = source.weights, None
    if weights is not None and not weights.any():
        return None  # no batch counts
    if weights is not None and not (weights.ndim == 2 and (weights == weights[0]).all()):
        # Each batch has a divisor of its own.
        weights_of = weights.__getitem__
        weights = weights.any(axis=0).astype(dtype) if weights.ndim == 2 else None
    elif weights is not None:
        weights = weights[0]
    x = _in_dtype(source.x, dtype)
    y: Array | None = source.y
    whole = source.y.dtype.kind in "iu"
    every = source.y.ndim == 3 or (whole and source.y.ndim == 2 and source.y.shape[1] == T)
    if whole and source.y.ndim < 3:
        if source.y.ndim == 2 and not every:
            return None  # whole numbers (N, K): no labels
        y = np.ascontiguousarray(source.y, np.int64)
    else:
        y = _in_dtype(source.y, dtype)
    if x is None or y is None or (weights is not None and not every):
        return None
    starts = np.arange(count, dtype=np.int64)
    steps = T if every else 1
    columns = () if whole and source.y.ndim < 3 else (source.y.shape[-1],)
    return Resident(
        x.reshape(count * T, D),
        starts * T,
        T,
        y.reshape(count * steps, *columns),
        starts * steps,
        steps,
        weights,
        weights_of,
    )


def _in_dtype(array: Array, dtype: np.dtype[Any]) -> Array | None:
    if array.dtype == dtype and array.flags.c_contiguous:
        return array
    if array.size * dtype.itemsize > _COPIED:
        return None
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype)
