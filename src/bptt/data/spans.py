"""Spans of rows in a series: where one may begin, how the rows are read, how spans are split in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from bptt.checks import check_array, check_number
from bptt.data.batch import Array, Indices
from bptt.data.table import read_only
from bptt.errors import DataError, InvalidInput, InvalidType


def check_series(values: object) -> Array:
    """Return `values` (N, C) as float64, finite, not to be written through."""
    array = check_array("values", values, [("N", None), ("C", None)], dtype=np.dtype(np.float64))
    if array.dtype.kind != "f":
        raise InvalidType(f"values must hold real numbers. Got dtype {array.dtype}")
    bad = ~np.isfinite(array)
    if bad.any():
        row, column = (int(k[0]) for k in np.nonzero(bad))
        raise DataError(
            f"values must be finite. Got {array[row, column]} in row {row}, column {column}, "
            f"and {int(bad.sum())} such entries in all: fill or drop them first"
        )
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


def possible_starts(rows: int, span: int, firsts: Indices, what: str) -> Indices:
    """Return every row where a span of `span` rows fits into one segment.

    Raises
    ------
    DataError
        If there is none; `what` says what the span is made of.
    """
    lasts = np.append(firsts[1:], rows)
    found = np.concatenate(
        [np.arange(a, b - span + 1, dtype=np.intp) for a, b in zip(firsts, lasts, strict=True)]
    )
    if not found.size:
        longest = int((lasts - firsts).max())
        where = f"{rows}" if firsts.size == 1 else f"{longest} in the longest of {firsts.size} segments"
        raise DataError(
            f"rows must be at least {what} = {span} for one example. Got {where}: use more rows or a shorter length"
        )
    return found


def check_starts(starts: npt.ArrayLike | None, possible: Indices, span: int) -> Indices:
    """Return the starts asked for, increasing, each with room for its span; all that are possible by default."""
    if starts is None:
        return possible
    array = np.asarray(starts)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu":
        raise InvalidType(f"starts must be at least one row number. Got {starts!r}")
    if array.size > 1 and not bool((array[1:] > array[:-1]).all()):
        raise InvalidInput(
            "starts must increase strictly: examples are kept in the order of time, draw them in any other by index"
        )
    wrong = array[~np.isin(array, possible)]
    if wrong.size:
        raise InvalidInput(
            f"starts must leave room for {span} rows in one segment, within {int(possible[0])}..{int(possible[-1])}. "
            f"Got {int(wrong[0])}"
        )
    return array.astype(np.intp)


def split_starts(starts: Indices, span: int, fraction: float) -> tuple[Indices, Indices]:
    """Split starts in time so that no row that validation reads was a target, or anything else, in training.

    The last `fraction` of the starts (rounded, at least one) validates. Of the others those train whose whole span,
    target included, ends before the first row of the first validation span; the span - 1 starts or fewer between
    the two parts are left out.
    """
    share = check_number("fraction", fraction, above=0.0, below=1.0)
    count = max(1, round(share * starts.size))
    validation = starts[starts.size - count :]
    training = starts[starts + span <= validation[0]]
    if not training.size:
        raise DataError(
            f"fraction = {share:g} of {starts.size} examples must leave one that ends before row {int(validation[0])}, "
            f"where validation begins; an example covers {span} rows. Got none: use more rows, a shorter length or a "
            "smaller fraction"
        )
    return training, validation


def blocks(columns: Array, length: int) -> npt.NDArray[Any]:
    """Return a view (N - length + 1, length * D) of contiguous `columns` (N, D): row i holds rows i..i+length-1.

    Indexing it copies the rows asked for, each as one contiguous piece, and nothing else.
    """
    depth = columns.shape[1]
    return sliding_window_view(columns.reshape(-1), length * depth)[::depth]
