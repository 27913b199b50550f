"""Windows on a series: `length` rows in, the value `horizon` rows after them out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bptt.checks import check_dtype, check_whole
from bptt.data.batch import Array, Batch, Indices, check_indices
from bptt.data.spans import (
    blocks,
    check_columns,
    check_segments,
    check_series,
    check_starts,
    possible_starts,
    split_starts,
)
from bptt.errors import DataError, InvalidInput


class Windows:
    """Examples of many-to-one forecasting, drawn by index from one series.

    Example i begins at row s = ``starts[i]``: ``x = values[s : s + length, inputs]`` and
    ``y = values[s + length + horizon - 1, targets]``. Windows are never copied out whole: `batch` copies what it is
    asked for.

    Parameters
    ----------
    values : array_like (N, C)
        The series in the order of time, scaled, finite. Kept as float64, not copied if it is that already: change it
        afterwards and the targets change.
    inputs : sequence of int, optional
        Columns that the network sees; all of them by default.
    targets : sequence of int
        Columns to forecast.
    length : int
        Rows that the network sees, T.
    horizon : int
        Rows from the last one seen to the target; 1 is the next row.
    starts : array_like of int, optional
        Rows where windows begin, strictly increasing; every possible one by default.
    segments : array_like of int, optional
        Rows where a new segment begins (after a gap, or the next series); no example crosses into another segment.
    dtype : {"float64", "float32"}
        Of `x` and `y` in a batch.

    Raises
    ------
    DataError
        Too few rows for one example; entries that are not finite.
    InvalidInput, InvalidType
        Columns, starts or segments outside the series.
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
        self.values = check_series(values)
        rows, count = self.values.shape
        self.inputs = check_columns("inputs", range(count) if inputs is None else inputs, count)
        self.targets = check_columns("targets", targets, count)
        self.length = check_whole("length", length)
        self.horizon = check_whole("horizon", horizon)
        self.dtype = check_dtype(dtype)
        self.segments = check_segments(segments, rows)
        possible = possible_starts(
            rows, self.span, self.segments, f"length + horizon = {self.length} + {self.horizon}"
        )
        self.starts = check_starts(starts, possible, self.span)
        self._blocks = blocks(self.values[:, self.inputs].astype(self.dtype, order="C"), self.length)

    @property
    def span(self) -> int:
        """Rows from the first one seen to the target, both counted."""
        return self.length + self.horizon

    def __len__(self) -> int:
        return int(self.starts.size)

    def __repr__(self) -> str:
        return (
            f"Windows({len(self)} examples, length={self.length}, horizon={self.horizon}, "
            f"inputs={self.inputs}, targets={self.targets}, dtype={self.dtype.name})"
        )

    def batch(self, indices: npt.ArrayLike) -> Batch:
        """Return the examples with these indices: x (B, T, D) and y (B, K)."""
        starts = self.starts[check_indices(indices, len(self))]
        x = self._blocks[starts].reshape(starts.size, self.length, len(self.inputs))
        y = self.values[(starts + self.span - 1)[:, None], self.targets].astype(self.dtype)
        return Batch(x, y)

    @property
    def target_rows(self) -> Indices:
        """Return the row of each example's target, (len,)."""
        return self.starts + (self.span - 1)

    @property
    def y(self) -> Array:
        """Return the targets of all examples, float64 (len, K)."""
        return self.values[self.target_rows[:, None], self.targets]

    def before_target(self, rows: int) -> Array:
        """Return the target columns `rows` rows before each target, float64 (len, K).

        Parameters
        ----------
        rows : int
            At least `horizon`: what is nearer to the target is not yet known when the forecast is made.

        Raises
        ------
        InvalidInput
            A row that is not known yet.
        DataError
            A row before the beginning of the example's segment.
        """
        if check_whole("rows", rows) < self.horizon:
            raise InvalidInput(
                f"rows must be at least horizon = {self.horizon}. Got {rows}: that value is not known yet"
            )
        source = self.target_rows - rows
        first = self.segments[np.searchsorted(self.segments, self.starts, side="right") - 1]
        outside = np.flatnonzero(source < first)
        if outside.size:
            raise DataError(
                f"each target must have {rows} rows before it in its segment. Got {outside.size} examples of "
                f"{len(self)} without, the first is example {int(outside[0])}: use longer windows or later starts"
            )
        return self.values[source[:, None], self.targets]

    def split_last(self, fraction: float) -> tuple[Windows, Windows]:
        """Return (training, validation): the last `fraction` of the examples validates.

        No row that a validation window reads, as input or as target, lies in a training example: the examples between
        the two parts that would reach over are left out (at most ``length + horizon - 1`` of them). Time is the order
        of the rows, across segments too.

        Raises
        ------
        DataError
            If nothing is left to train on.
        """
        training, validation = split_starts(self.starts, self.span, fraction)
        return self._at(training), self._at(validation)

    def _at(self, starts: Indices) -> Windows:
        return Windows(
            self.values,
            inputs=self.inputs,
            targets=self.targets,
            length=self.length,
            horizon=self.horizon,
            starts=starts,
            segments=self.segments,
            dtype=self.dtype,
        )
