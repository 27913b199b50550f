"""Scaling to mean 0 and deviation 1, with the statistics of the training rows only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array, check_choice, check_whole
from bptt.data.tables.parsing import Array
from bptt.data.tables.table import read_only
from bptt.errors import DataError, FileFormatError, InvalidInput

# A column whose values differ by no more than the rounding of their own size carries nothing but that rounding.
ROUNDING = 8.0 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Scaler:
    """Means and deviations of the training rows, column by column.

    Attributes
    ----------
    columns : tuple of str
        Names, C of them.
    means, deviations : ndarray float64 (C,)
        In the units of the columns. Read-only.
    """

    columns: tuple[str, ...]
    means: Array
    deviations: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "means", read_only(self.means))
        object.__setattr__(self, "deviations", read_only(self.deviations))

    @classmethod
    def fit(
        cls,
        values: npt.ArrayLike,
        columns: Sequence[str] | None = None,
        *,
        ddof: int = 1,
        constant: str = "error",
    ) -> Scaler:
        """Measure the columns of the training rows.

        Parameters
        ----------
        values : array_like (N, C)
            Training rows, finite.
        columns : sequence of str, optional
            Names for messages and `inverse_column`; "0", "1", ... by default.
        ddof : int
            The deviation divides by N - ddof: 1 as in R's `sd`, 0 as in `numpy.std`.
        constant : {"error", "keep"}
            What to do with a column that never changes in these rows: raise, or subtract its mean and leave its scale
            as it is (deviation 1).

        Raises
        ------
        DataError
            Too few rows, entries that are not finite, a constant column.
        """
        check_choice("constant", constant, ("error", "keep"))
        check_whole("ddof", ddof, least=0)
        array = check_array("values", values, [("N", None), ("C", None)], dtype=np.dtype(np.float64))
        rows, count = array.shape
        names = tuple(str(k) for k in range(count)) if columns is None else tuple(columns)
        if len(names) != count:
            raise InvalidInput(
                f"columns must have C = {count} names. Got {len(names)}: values has {count} columns"
            )
        if rows <= ddof:
            raise DataError(
                f"values must have more than ddof = {ddof} rows to measure a deviation. Got {rows}"
            )
        bad = ~np.isfinite(array)
        if bad.any():
            column = int(np.flatnonzero(bad.any(axis=0))[0])
            raise DataError(
                f"column {names[column]!r} must be finite in the training rows. Got {int(bad[:, column].sum())} of "
                f"{rows} missing or infinite, the first in row {int(np.flatnonzero(bad[:, column])[0]) + 1}: "
                "fill or drop them first"
            )
        means = array.mean(axis=0)
        deviations = array.std(axis=0, ddof=ddof)
        low, high = array.min(axis=0), array.max(axis=0)
        still = high - low <= ROUNDING * np.maximum(np.abs(low), np.abs(high))
        if still.any():
            if constant == "error":
                column = int(np.flatnonzero(still)[0])
                raise DataError(
                    f"column {names[column]!r} must change in the training rows to be scaled. Got {low[column]:g} in "
                    f"all {rows}: leave it out (columns=), or keep its scale (constant='keep')"
                )
            means = np.where(still, low, means)
            deviations = np.where(still, 1.0, deviations)
        return cls(names, means, deviations)

    def transform(self, values: npt.ArrayLike) -> Array:
        """Return ``(values - means) / deviations``, float64 (..., C)."""
        return np.asarray((self._check("values", values) - self.means) / self.deviations)

    def inverse(self, scaled: npt.ArrayLike) -> Array:
        """Return ``scaled * deviations + means``, in the units of the columns, float64 (..., C)."""
        return np.asarray(self._check("scaled", scaled) * self.deviations + self.means)

    def inverse_column(self, column: str, scaled: npt.ArrayLike) -> Array:
        """Return scaled numbers of one column, of any shape, in its unit."""
        k = self.index(column)
        return np.asarray(np.asarray(scaled, np.float64) * self.deviations[k] + self.means[k])

    def deviation(self, column: str) -> float:
        """Return the deviation of one column: what an error of 1 in scaled units is in its unit."""
        return float(self.deviations[self.index(column)])

    def index(self, column: str) -> int:
        """Return the number of a column."""
        if column not in self.columns:
            raise DataError(f"column must be one of {', '.join(self.columns)}. Got {column!r}")
        return self.columns.index(column)

    def to_dict(self) -> dict[str, list[str] | list[float]]:
        """Return names and numbers for a model file (JSON keeps every bit of them)."""
        return {
            "columns": list(self.columns),
            "means": [float(v) for v in self.means],
            "deviations": [float(v) for v in self.deviations],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Scaler:
        """Return the scaler that `to_dict` stored.

        Raises
        ------
        FileFormatError
            Parts missing or not fitting together.
        """
        try:
            columns = stored["columns"]
            means = np.array([float(v) for v in stored["means"]])
            deviations = np.array([float(v) for v in stored["deviations"]])
        except (KeyError, TypeError, ValueError):
            raise FileFormatError(
                "scaler must have columns, means and deviations, lists of one length. "
                f"Got {stored!r:.80}: the model file is damaged"
            ) from None
        sound = (
            isinstance(columns, Sequence)
            and not isinstance(columns, str)
            and all(isinstance(name, str) for name in columns)
            and len(columns) == means.size == deviations.size
            and bool(np.isfinite(means).all())
            and bool(np.isfinite(deviations).all())
            and bool((deviations > 0).all())
        )
        if not sound:
            raise FileFormatError(
                "scaler must have as many finite means and positive deviations as column names. "
                f"Got {stored!r:.80}: the model file is damaged"
            )
        return cls(tuple(columns), means, deviations)

    def _check(self, name: str, values: npt.ArrayLike) -> Array:
        array = np.asarray(values, np.float64)
        if array.ndim < 1 or array.shape[-1] != len(self.columns):
            raise InvalidInput(
                f"{name} must have shape (..., C) = (..., {len(self.columns)}). Got {array.shape}: the scaler was "
                f"fitted to {', '.join(self.columns)}"
            )
        return array
