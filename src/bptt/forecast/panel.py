"""What a forecaster learns from: one or many series on an even clock, with what is known beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bptt.checks import Array


@dataclass(frozen=True, eq=False)
class Line:
    """One series with all that belongs to it, in the units of the source.

    Attributes
    ----------
    id : str
        Its name; "" where there is one series without a name.
    times : ndarray datetime64[s] (T,)
        Of the rows, one step apart, in UTC where the source states an offset.
    local : ndarray datetime64[s] (T + F,)
        The clock on the wall at each row and at the F rows known ahead: what calendar features are made of.
    y : ndarray float64 (T,)
        The target; NaN where missing.
    past : ndarray float64 (T, P)
        Measured together with the target; NaN where missing.
    future : ndarray float64 (T + F, Q)
        Known ahead, as far as F rows after the last; NaN where missing.
    static : ndarray float64 (S,)
        Of the series as a whole.
    """

    id: str
    times: Array
    local: Array
    y: Array
    past: Array
    future: Array
    static: Array

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Panel:
    """Series that one model learns from together.

    Attributes
    ----------
    lines : tuple of Line
    target : str
        Name of the column that is forecast.
    past, future, static : tuple of str
        Names of the columns of `Line.past`, `Line.future`, `Line.static`.
    step : timedelta64[s] or timedelta64[M]
        From one row to the next.
    """

    lines: tuple[Line, ...]
    target: str
    past: tuple[str, ...]
    future: tuple[str, ...]
    static: tuple[str, ...]
    step: np.timedelta64

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)
