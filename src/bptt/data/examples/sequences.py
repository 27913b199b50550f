"""Long stretches of a series with a target at every step: a network learns on them to carry its state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bptt.checks import check_whole
from bptt.data.examples.batch import Batch, check_indices
from bptt.data.examples.spans import Spans
from bptt.errors import InvalidInput


class Sequences(Spans):
    """Examples of many-to-many forecasting, drawn by index from one series.

    Example i begins at row s = ``starts[i]``: ``x[t] = values[s + t, inputs]`` and
    ``y[t] = values[s + t + horizon, targets]`` for t in 0..length-1. The weight of step t is 0 for t < warmup, where
    the state still remembers its start from zero, and 1 after.

    Parameters
    ----------
    values : array_like (N, C)
        The series in the order of time, scaled, finite. What examples are made of is copied, as by `Windows`.
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
        # Before the series is copied.
        steps = check_whole("length", length)
        self.warmup = check_whole("warmup", warmup, least=0)
        if self.warmup >= steps:
            raise InvalidInput(f"warmup must be below length = {length}. Got {warmup}: no step would count")
        super().__init__(
            values,
            inputs=inputs,
            targets=targets,
            length=length,
            horizon=horizon,
            starts=starts,
            segments=segments,
            dtype=dtype,
        )
        self.step_weights = (np.arange(self.length) >= self.warmup).astype(self.dtype)

    def __repr__(self) -> str:
        return (
            f"Sequences({len(self)} examples, length={self.length}, warmup={self.warmup}, horizon={self.horizon}, "
            f"inputs={self.inputs}, targets={self.targets}, dtype={self.dtype.name})"
        )

    def batch(self, indices: npt.ArrayLike) -> Batch:
        """Return the examples with these indices: x (B, T, D), y (B, T, K), weights (B, T)."""
        starts = self.starts[check_indices(indices, len(self))]
        rows = (starts + self.horizon)[:, None] + np.arange(self.length)
        y = self.targets_at(rows).astype(self.dtype)
        return Batch(self._inputs_of(starts), y, weights=np.tile(self.step_weights, (starts.size, 1)))
