"""The columns of one series that examples are cut from, copied once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array, check_dtype
from bptt.data.examples.batch import Array, Indices
from bptt.data.tables.table import read_only
from bptt.errors import DataError, InvalidInput, InvalidType

# Numbers looked at together, so that a long series is read without a second one of its size: 2 MiB of float64.
_PIECE = 1 << 18


class Series:
    """What `Windows`, `Sequences` and `Stretches` share: the columns they read, in memory of their own.

    Attributes
    ----------
    x_rows : ndarray (N, D)
        The inputs in the working dtype, contiguous, read-only.
    inputs, targets : tuple of int
        Columns of the series.
    segments : ndarray of int
        Rows where a segment begins, the first one 0.
    dtype : dtype
        Of `x` and `y` in a batch.
    """

    def __init__(
        self,
        values: npt.ArrayLike,
        *,
        inputs: Sequence[int] | None,
        targets: Sequence[int],
        segments: npt.ArrayLike | None,
        dtype: npt.DTypeLike,
    ) -> None:
        self._given = check_series(values)
        rows, count = self._given.shape
        self.inputs = check_columns("inputs", range(count) if inputs is None else inputs, count)
        self.targets = check_columns("targets", targets, count)
        self.dtype = check_dtype(dtype)
        self.segments = check_segments(segments, rows)

    def _copy_columns(self) -> None:
        """Copy what examples are made of: called once all settings are known to be right."""
        self.x_rows = _columns(self._given, self.inputs, self.dtype)
        # Exact targets, for scores. In float64 they usually are inputs already, and need no memory.
        self._places: Indices | None = None
        self._y_rows: Array | None = None
        if self.dtype == np.float64 and set(self.targets) <= set(self.inputs):
            self._places = np.array([self.inputs.index(column) for column in self.targets], np.intp)
        else:
            self._y_rows = _columns(self._given, self.targets, np.dtype(np.float64))

    @property
    def values(self) -> Array:
        """Return the whole series as it was given, float64 (N, C): not a copy where it is float64 already."""
        return read_only(self._given.astype(np.float64, copy=False))

    def target_columns(self, dtype: npt.DTypeLike) -> Array:
        """Return the target of every row (N, K), rounded as in a batch and then to `dtype`: a new array."""
        found = np.empty((len(self.x_rows), len(self.targets)), dtype)
        for k in range(len(self.targets)):
            if self._y_rows is not None:
                column = self._y_rows[:, k]
            else:
                assert self._places is not None
                column = self.x_rows[:, self._places[k]]
            with np.errstate(over="ignore"):
                found[:, k] = column.astype(self.dtype, copy=False)
        return found

    def targets_at(self, rows: Indices) -> Array:
        """Return the target columns of these rows, float64 (*rows.shape, K)."""
        if self._y_rows is not None:
            return self._y_rows[rows]
        found: Array = self.x_rows[rows[..., None], self._places]
        return found


def check_series(values: object) -> Array:
    """Return `values` (N, C) as real finite numbers, not to be written through."""
    array = check_array("values", values, [("N", None), ("C", None)])
    if array.dtype.kind == "c":
        raise InvalidType(f"values must hold real numbers. Got dtype {array.dtype}")
    if array.dtype.kind == "f":
        _check_finite(array)
    return read_only(array)


def check_columns(name: str, columns: Sequence[int] | npt.ArrayLike, count: int) -> tuple[int, ...]:
    """Return column numbers as a tuple of ints in 0..count-1, at least one."""
    array = np.asarray(columns)
    if array.ndim != 1 or not array.size:
        raise InvalidInput(f"{name} must be a sequence of at least one column number. Got {columns!r}")
    if array.dtype.kind not in "iu":
        raise InvalidType(f"{name} must be column numbers. Got {columns!r}")
    wrong = array[(array < 0) | (array >= count)]
    if wrong.size:
        raise InvalidInput(
            f"{name} must lie in 0..C-1 = 0..{count - 1}. Got {int(wrong[0])}: values has {count} columns"
        )
    return tuple(int(k) for k in array)


def check_segments(segments: npt.ArrayLike | None, rows: int) -> Indices:
    """Return the first row of each segment, beginning with 0."""
    if segments is None:
        return np.zeros(1, np.intp)
    array = np.asarray(segments)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidType(f"segments must be the row numbers where a segment begins. Got {segments!r}")
    firsts = np.union1d(array, np.zeros(1, array.dtype)).astype(np.intp)
    if firsts[0] < 0 or firsts[-1] >= rows:
        wrong = int(firsts[0] if firsts[0] < 0 else firsts[-1])
        raise InvalidInput(
            f"segments must lie in 0..N-1 = 0..{rows - 1}. Got {wrong}: values has {rows} rows"
        )
    return firsts


def _check_finite(array: Array) -> None:
    height = max(1, _PIECE // max(1, array.shape[1]))
    found, first = 0, None
    for top in range(0, len(array), height):
        bad = ~np.isfinite(array[top : top + height])
        if first is None and bad.any():
            row, column = (int(k[0]) for k in np.nonzero(bad))
            first = (top + row, column)
        found += int(bad.sum())
    if first is not None:
        raise DataError(
            f"values must be finite. Got {array[first]} in row {first[0]}, column {first[1]}, "
            f"and {found} such entries in all: fill or drop them first"
        )


def _columns(values: Array, columns: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return these columns as an array (N, len(columns)) of its own, without another one on the way."""
    found = np.empty((len(values), len(columns)), dtype)
    if columns == tuple(range(values.shape[1])):
        # Too large for the dtype: inf, which the training loop names.
        with np.errstate(over="ignore"):
            np.copyto(found, values, casting="unsafe")
    else:
        with np.errstate(over="ignore"):
            for k, column in enumerate(columns):
                found[:, k] = values[:, column]
    return read_only(found)
