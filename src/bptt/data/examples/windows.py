"""Windows on a series: `length` rows in, the value `horizon` rows after them out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bptt.checks import check_whole
from bptt.data.examples.batch import Array, Batch, Indices, check_indices
from bptt.data.examples.spans import Spans
from bptt.errors import DataError, InvalidInput


class Windows(Spans):
    """Examples of many-to-one forecasting, drawn by index from one series.

    Example i begins at row s = ``starts[i]``: ``x = values[s : s + length, inputs]`` and
    ``y = values[s + length + horizon - 1, targets]``. Windows are never copied out whole: `batch` copies what it is
    asked for.

    Parameters
    ----------
    values : array_like (N, C)
        The series in the order of time, scaled, finite. Inputs (in `dtype`) and targets (in float64) are copied:
        what becomes of `values` afterwards changes no example.
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

    def __repr__(self) -> str:
        return (
            f"Windows({len(self)} examples, length={self.length}, horizon={self.horizon}, "
            f"inputs={self.inputs}, targets={self.targets}, dtype={self.dtype.name})"
        )

    def batch(self, indices: npt.ArrayLike) -> Batch:
        """Return the examples with these indices: x (B, T, D) and y (B, K)."""
        starts = self.starts[check_indices(indices, len(self))]
        return Batch(self._inputs_of(starts), self.targets_at(starts + (self.span - 1)).astype(self.dtype))

    @property
    def target_rows(self) -> Indices:
        """Return the row of each example's target, (len,)."""
        return self.starts + (self.span - 1)

    @property
    def y(self) -> Array:
        """Return the targets of all examples, float64 (len, K)."""
        return self.targets_at(self.target_rows)

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
        return self.targets_at(source)
