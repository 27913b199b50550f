"""Even steps of time: every row one step after the last, missing rows found and treated as asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import check_choice
from bptt.data.tables.parsing import Array
from bptt.data.tables.table import Table
from bptt.errors import DataError, InvalidInput

HOUR = np.timedelta64(1, "h")
POLICIES = ("error", "missing", "forward")


@dataclass(frozen=True, eq=False)
class Regular:
    """A table with a row at every step, and the times of the rows that were added.

    Attributes
    ----------
    table : Table
        As long as the time from its first row to its last.
    added : ndarray datetime64 (M,)
        Times that had no row.
    """

    table: Table
    added: Array


def regular(table: Table, step: np.timedelta64 = HOUR, *, fill: str = "error") -> Regular:
    """Check that rows are `step` apart, and treat missing ones as `fill` says.

    Parameters
    ----------
    table : Table
        With times.
    step : timedelta64
        Time from one row to the next.
    fill : {"error", "missing", "forward"}
        Raise at the first missing row; add rows of missing values; or add rows that repeat the last values known,
        in the added rows only.

    Returns
    -------
    Regular
        The table and the times added.

    Raises
    ------
    InvalidInput
        A table without times, an unknown policy, a step that is not positive.
    DataError
        Times that do not increase or lie between steps; a missing row, if `fill` is "error".
    """
    check_choice("fill", fill, POLICIES)
    if table.times is None:
        raise InvalidInput(
            f"{table.source} must have times to be checked for missing rows. Got none: read it with time="
        )
    if not step > np.timedelta64(0, "s"):
        raise InvalidInput(f"step must be positive. Got {step}")
    times = table.times
    gaps = np.diff(times)
    back = np.flatnonzero(gaps <= np.timedelta64(0, "s"))
    if back.size:
        row = int(back[0]) + 1
        raise DataError(
            f"{table.source} must have times that increase. Got {times[row]} in row {row + 1} after {times[row - 1]}: "
            "sort the rows and drop doubles"
        )
    uneven = np.flatnonzero(gaps % step != np.timedelta64(0, "s"))
    if uneven.size:
        row = int(uneven[0]) + 1
        raise DataError(
            f"{table.source} must have rows {step} apart. Got {gaps[row - 1]} before row {row + 1} ({times[row]}): "
            "resample it first"
        )
    place = np.concatenate([np.zeros(1, np.int64), np.cumsum(gaps // step)])
    missing = int(place[-1]) + 1 - times.size
    if missing and fill == "error":
        # Before the missing ones are made: one wrong year is seventy million hours.
        raise DataError(
            f"{table.source} must have rows {step} apart. Got {missing} missing, the first at "
            f"{times[int(np.argmax(gaps > step))] + step}: fill them first (bptt.data.regular with fill='forward')"
        )
    every = times[0] + np.arange(int(place[-1]) + 1) * step
    absent = np.ones(every.size, bool)
    absent[place] = False
    if not absent.any():
        return Regular(table, every[absent])
    source = np.maximum.accumulate(np.where(absent, 0, np.cumsum(~absent) - 1))
    values = table.values[source]
    if fill == "missing":
        values[absent] = np.nan
    return Regular(replace(table, values=values, times=every), every[absent])
