"""Long stretches of a series with a target at every step: a network learns on them to carry its state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bptt.checks import check_dtype, check_whole
from bptt.data.batch import Batch, Indices, check_indices
from bptt.data.spans import (
    blocks,
    check_columns,
    check_segments,
    check_series,
    check_starts,
    possible_starts,
    split_starts,
)
from bptt.errors import InvalidInput


class Sequences:
    """Examples of many-to-many forecasting, drawn by index from one series.

    Example i begins at row s = ``starts[i]``: ``x[t] = values[s + t, inputs]`` and
    ``y[t] = values[s + t + horizon, targets]`` for t in 0..length-1. The weight of step t is 0 for t < warmup, where
    the state still remembers its start from zero, and 1 after.

    Parameters
    ----------
    values : array_like (N, C)
        The series in the order of time, scaled, finite; kept as float64, not copied if it is that already.
    inputs : sequence of int, optional
        Columns that the network sees; all of them by default.
    targets : sequence of int
        Columns to forecast.
    length : int
        Steps of a sequence, T.
    warmup : int
        Steps at the beginning that do not count, below `length`.
    horizon : int
        Rows from a step to its target; 1 is the next row.
    starts, segments, dtype
        As for `Windows`.

    Raises
    ------
    DataError
        Too few rows for one example; entries that are not finite.
    InvalidInput, InvalidType
        Columns, starts, segments or a warm-up out of range.
    """

    def __init__(
        self,
        values: npt.ArrayLike,
        *,
        inputs: Sequence[int] | None = None,
        targets: Sequence[int],
        length: int,
        warmup: int = 0,
        horizon: int = 1,
        starts: npt.ArrayLike | None = None,
        segments: npt.ArrayLike | None = None,
        dtype: npt.DTypeLike = "float64",
    ) -> None:
        self.values = check_series(values)
        rows, count = self.values.shape
        self.inputs = check_columns("inputs", range(count) if inputs is None else inputs, count)
        self.targets = check_columns("targets", targets, count)
        self.length = check_whole("length", length)
        self.warmup = check_whole("warmup", warmup, least=0)
        if self.warmup >= self.length:
            raise InvalidInput(f"warmup must be below length = {length}. Got {warmup}: no step would count")
        self.horizon = check_whole("horizon", horizon)
        self.dtype = check_dtype(dtype)
        self.segments = check_segments(segments, rows)
        possible = possible_starts(
            rows, self.span, self.segments, f"length + horizon = {self.length} + {self.horizon}"
        )
        self.starts = check_starts(starts, possible, self.span)
        self._x = blocks(self.values[:, self.inputs].astype(self.dtype, order="C"), self.length)
        self._y = blocks(self.values[:, self.targets].astype(self.dtype, order="C"), self.length)
        self._weights = (np.arange(self.length) >= self.warmup).astype(self.dtype)

    @property
    def span(self) -> int:
        """Rows from the first step to the last target, both counted."""
        return self.length + self.horizon

    def __len__(self) -> int:
        return int(self.starts.size)

    def __repr__(self) -> str:
        return (
            f"Sequences({len(self)} examples, length={self.length}, warmup={self.warmup}, horizon={self.horizon}, "
            f"inputs={self.inputs}, targets={self.targets}, dtype={self.dtype.name})"
        )

    def batch(self, indices: npt.ArrayLike) -> Batch:
        """Return the examples with these indices: x (B, T, D), y (B, T, K), weights (B, T)."""
        starts = self.starts[check_indices(indices, len(self))]
        x = self._x[starts].reshape(starts.size, self.length, len(self.inputs))
        y = self._y[starts + self.horizon].reshape(starts.size, self.length, len(self.targets))
        return Batch(x, y, weights=np.tile(self._weights, (starts.size, 1)))

    def split_last(self, fraction: float) -> tuple[Sequences, Sequences]:
        """Return (training, validation), split in time by the rule of `Windows.split_last`."""
        training, validation = split_starts(self.starts, self.span, fraction)
        return self._at(training), self._at(validation)

    def _at(self, starts: Indices) -> Sequences:
        return Sequences(
            self.values,
            inputs=self.inputs,
            targets=self.targets,
            length=self.length,
            warmup=self.warmup,
            horizon=self.horizon,
            starts=starts,
            segments=self.segments,
            dtype=self.dtype,
        )
