"""Spans of rows in a series: where one may begin, how the rows are read, how spans are split in time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from bptt.checks import check_number, check_whole
from bptt.data.examples.batch import Array, Indices
from bptt.data.examples.series import Series
from bptt.errors import DataError, InvalidInput, InvalidType


class Spans(Series):
    """Examples of one length that begin at given rows of a series and may overlap: `Windows` and `Sequences`.

    Attributes
    ----------
    starts : ndarray of int
        First row of each example, increasing.
    length, horizon : int
        Rows seen, and rows from the last one seen to the last target.
    """

    def __init__(
        self,
        values: npt.ArrayLike,
        *,
        inputs: Sequence[int] | None = None,
        targets: Sequence[int],
        length: int,
        horizon: int = 1,
        starts: npt.ArrayLike | None = None,
        segments: npt.ArrayLike | None = None,
        dtype: npt.DTypeLike = "float64",
    ) -> None:
        super().__init__(values, inputs=inputs, targets=targets, segments=segments, dtype=dtype)
        self.length = check_whole("length", length)
        self.horizon = check_whole("horizon", horizon)
        possible = possible_starts(
            len(self._given), self.span, self.segments, f"length + horizon = {self.length} + {self.horizon}"
        )
        self.starts = check_starts(starts, possible, self.span)
        self._copy_columns()
        self._blocks = blocks(self.x_rows, self.length)

    @property
    def span(self) -> int:
        """Rows from the first one seen to the last target, both counted."""
        return self.length + self.horizon

    def __len__(self) -> int:
        return int(self.starts.size)

    def split_last(self, fraction: float) -> tuple[Self, Self]:
        """Return (training, validation): the last `fraction` of the examples validates.

        No row that a validation example reads, as input or as target, lies in a training example: the examples between
        the two parts that would reach over are left out (at most ``length + horizon - 1`` of them). Time is the order
        of the rows, across segments too. Both parts read the same memory.

        Raises
        ------
        DataError
            If nothing is left to train on.
        """
        training, validation = split_starts(self.starts, self.span, fraction)
        return self._at(training), self._at(validation)

    def _at(self, starts: Indices) -> Self:
        part = copy.copy(self)
        part.starts = starts
        return part

    def _inputs_of(self, starts: Indices) -> Array:
        """Return x (B, T, D) of the examples that begin there."""
        return self._blocks[starts].reshape(starts.size, self.length, len(self.inputs))


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
    training = starts[: np.searchsorted(starts, validation[0] - span, side="right")]
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
