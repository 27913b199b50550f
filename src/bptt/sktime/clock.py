"""The clock behind a pandas index: which rows it has between two of them, which come next, and when that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from bptt.checks import Array
from bptt.errors import DataError, InvalidType
from bptt.forecast.tables.steps import find_step

_SECOND = np.timedelta64(1, "s")
_DAY = 86400
# Offsets that count months, however they choose the day.
_MONTHS: tuple[tuple[int, Any], ...] = (
    (
        1,
        (
            pd.offsets.MonthBegin,
            pd.offsets.MonthEnd,
            pd.offsets.BusinessMonthBegin,
            pd.offsets.BusinessMonthEnd,
        ),
    ),
    (
        3,
        (
            pd.offsets.QuarterBegin,
            pd.offsets.QuarterEnd,
            pd.offsets.BQuarterBegin,
            pd.offsets.BQuarterEnd,
        ),
    ),
    (12, (pd.offsets.YearBegin, pd.offsets.YearEnd, pd.offsets.BYearBegin, pd.offsets.BYearEnd)),
)


@dataclass(frozen=True, eq=False)
class Clock:
    """The clock of one or many series.

    Attributes
    ----------
    offset : DateOffset or None
        From one row to the next; None where rows are numbered.
    step : timedelta64[s] or timedelta64[M]
        The same for a panel; a second where it does not last equally long (business days) or is shorter.
    counted : bool
        Whether rows are only counted, so that no calendar can be read from them.
    periods : bool
        Whether the index names periods, not moments.
    origin : Timestamp, Period or None
        What counted rows are counted from.
    """

    offset: Any
    step: np.timedelta64
    counted: bool
    periods: bool
    origin: Any

    @classmethod
    def of(cls, indices: Sequence[pd.Index]) -> Self:
        """Return the clock of series with these indices, increasing each.

        Raises
        ------
        InvalidType
            An index of neither times nor whole numbers.
        DataError
            Moments without a frequency, and too few of them to find one.
        """
        longest = max(indices, key=len)
        if pd.api.types.is_integer_dtype(longest.dtype):
            return cls(None, _SECOND, True, False, None)
        periods = isinstance(longest, pd.PeriodIndex)
        if not periods and not isinstance(longest, pd.DatetimeIndex):
            raise InvalidType(f"index must hold times, periods or whole numbers. Got {longest.dtype}")
        offset = longest.freq if periods else _offset_of(longest, indices)
        step = _step_of(offset)
        origin = min(index[0] for index in indices)
        return cls(offset, _SECOND if step is None else step, step is None, periods, origin)

    def between(self, first: Any, last: Any) -> pd.Index:
        """Return every row from one to another, both included."""
        if self.offset is None:
            return pd.Index(np.arange(int(first), int(last) + 1))
        if self.periods:
            return pd.period_range(first, last, freq=self.offset)
        return pd.date_range(first, last, freq=self.offset)

    def after(self, last: Any, count: int) -> pd.Index:
        """Return the rows that come next."""
        if self.offset is None:
            return pd.Index(int(last) + np.arange(1, count + 1))
        if self.periods:
            return pd.period_range(last, periods=count + 1, freq=self.offset)[1:]
        return pd.date_range(last, periods=count + 1, freq=self.offset)[1:]

    def places(self, rows: pd.Index, of: pd.Index) -> Array:
        """Return where each of `of` stands among these rows.

        Raises
        ------
        DataError
            One that stands beside them.
        """
        found = np.asarray(rows.get_indexer(of), np.int64)
        if (found < 0).any():
            off = of[int(np.argmax(found < 0))]
            every = "whole numbers" if self.offset is None else f"rows {self.offset.freqstr} apart"
            raise DataError(
                f"index must hold {every}, from {rows[0]} to {rows[-1]}. Got {off}: resample first"
            )
        return found

    def times(self, rows: pd.Index) -> tuple[Array, Array]:
        """Return times and wall's clock of rows of this clock, datetime64[s] each, as `bptt.forecast.Line` has them.

        Months begin on their first day, on whichever the index sets them. Steps of whole days are counted on the wall.
        """
        if self.counted:
            first = int(rows[0]) if self.offset is None else self._number(rows[0])
            times = np.datetime64(first, "s") + np.arange(len(rows)) * _SECOND
            return times, np.full(len(rows), np.datetime64("NaT", "s"))
        moments: Any = rows.to_timestamp() if isinstance(rows, pd.PeriodIndex) else rows
        wall = _seconds(moments.tz_localize(None))
        if np.datetime_data(self.step.dtype)[0] == "M":
            months = wall.astype("datetime64[M]").astype("datetime64[s]")
            return months, months
        if moments.tz is None or int(self.step.astype(np.int64)) % _DAY == 0:
            return wall, wall
        return _seconds(moments.tz_convert("UTC").tz_localize(None)), wall

    def _number(self, row: Any) -> int:
        """Return the number of a row from the origin, negative before it."""
        if row >= self.origin:
            return len(self.between(self.origin, row)) - 1
        return 1 - len(self.between(row, self.origin))


def _seconds(moments: pd.DatetimeIndex) -> Array:
    found: Array = moments.to_numpy().astype("datetime64[s]")
    return found


def _offset_of(longest: pd.DatetimeIndex, indices: Sequence[pd.Index]) -> Any:
    """Return the offset that an index states, or that most of its rows keep."""
    if longest.freq is not None:
        return longest.freq
    name = pd.infer_freq(longest) if len(longest) > 2 else None
    if name is not None:
        return to_offset(name)
    moments = [pd.DatetimeIndex(index) for index in indices]
    step = find_step([_seconds(index.tz_localize(None)) for index in moments])
    count = 0 if step is None else int(step.astype(np.int64))
    if step is None or not count:
        raise DataError(
            f"index must state a frequency where rows do not show one in whole seconds. Got {longest[:2].tolist()}: "
            "set index.freq, or give a PeriodIndex"
        )
    if np.datetime_data(step.dtype)[0] != "M":
        # A day is one of the wall's clock, of 23 to 25 hours.
        return pd.offsets.Day(count // _DAY) if count % _DAY == 0 else to_offset(pd.Timedelta(step))
    ends = all(bool(index.is_month_end.all()) for index in moments)
    return pd.offsets.MonthEnd(count) if ends else pd.offsets.MonthBegin(count)


def _step_of(offset: Any) -> np.timedelta64 | None:
    """Return the step of an offset; None where it has no length in seconds or months."""
    for months, kinds in _MONTHS:
        if isinstance(offset, kinds):
            return np.timedelta64(months * offset.n, "M")
    if isinstance(offset, pd.offsets.Week):
        return np.timedelta64(7 * _DAY * offset.n, "s")
    if isinstance(offset, pd.offsets.Day):
        return np.timedelta64(_DAY * offset.n, "s")
    try:
        length = pd.Timedelta(offset)
    except ValueError:
        return None
    whole: np.timedelta64 = length.to_timedelta64().astype("timedelta64[s]")
    return whole if pd.Timedelta(whole) == length and whole > 0 * _SECOND else None
