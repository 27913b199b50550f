"""Which cycles of the calendar a series can show, and their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.forecast.panel import Panel
from bptt.forecast.pieces import seconds

DAY, WEEK, YEAR = 86400.0, 7 * 86400.0, 365.25 * 86400.0
CYCLES = ("day", "week", "year")

# How often a cycle must have been seen before a model may rely on it.
_DAYS, _WEEKS, _YEARS = 3, 3, 2
# The weekday counts where the daily means change by it more than chance has it: the F statistic of noise has mean 1,
# and exceeds this once in some ten thousand series.
_F_OF_WEEKDAY = 5.0


@dataclass(frozen=True)
class Calendar:
    """The cycles in use.

    Attributes
    ----------
    cycles : tuple of str
        Of "day", "week", "year".
    """

    cycles: tuple[str, ...]

    @property
    def features(self) -> int:
        """Columns of `encode`."""
        return sum({"day": 4, "week": 6, "year": 2}[cycle] for cycle in self.cycles)

    @property
    def slots(self) -> tuple[int, ...]:
        """Sizes of the classes of `classes`: hours of the day, days of the week, months."""
        return tuple({"day": 24, "week": 7, "year": 12}[cycle] for cycle in self.cycles)

    def encode(self, local: Array) -> Array:
        """Return sines and cosines of these times, float64 (N, features).

        Two waves a day, three a week (of the weekday, a whole number), one a year.
        """
        waves = []
        for cycle in self.cycles:
            phase, count = _phase(local, cycle)
            for k in range(1, count + 1):
                waves += [np.sin(2 * np.pi * k * phase), np.cos(2 * np.pi * k * phase)]
        return np.stack(waves, axis=1) if waves else np.zeros((len(local), 0))

    def classes(self, local: Array) -> list[Array]:
        """Return for each cycle the class of each time, int (N,): hour, weekday, month."""
        found = []
        for cycle in self.cycles:
            if cycle == "day":
                number = (local - local.astype("datetime64[D]")) // np.timedelta64(1, "h")
            elif cycle == "week":
                number = _weekday(local)
            else:
                number = local.astype("datetime64[M]").astype(np.int64) % 12
            found.append(number.astype(np.int64))
        return found


def find_calendar(panel: Panel) -> Calendar:
    """Return the cycles that the step is short enough and the longest line long enough to show."""
    step = seconds(panel.step)
    longest = max(panel, key=len)
    if bool(np.isnat(longest.local).any()):  # rows that are only counted
        return Calendar(())
    span = step * len(longest)
    cycles = []
    if step <= DAY / 4 and span >= _DAYS * DAY:
        cycles.append("day")
    if (
        step <= DAY
        and span >= _WEEKS * WEEK
        and any(_shows_weekday(line.y, line.local, step) for line in panel.lines[:20])
    ):
        cycles.append("week")
    if step <= YEAR / 4 and span >= _YEARS * YEAR:
        cycles.append("year")
    return Calendar(tuple(cycles))


def choose_calendar(calendar: str | Sequence[str] | None, panel: Panel) -> Calendar:
    """Return the calendar asked for: "auto", none, or some of `CYCLES`, already checked."""
    if calendar == "auto":
        return find_calendar(panel)
    wanted = () if calendar is None else (calendar,) if isinstance(calendar, str) else tuple(calendar)
    return Calendar(tuple(cycle for cycle in CYCLES if cycle in wanted))


def season(step: np.timedelta64) -> int:
    """Return the rows of a season: a day of rows shorter than one, a week of days, a year of longer ones."""
    length = seconds(step)
    for cycle in (DAY, WEEK, YEAR):
        rows = cycle / length
        if rows >= (4 if cycle == DAY else 3):
            return round(rows)
    return 1


def repeatable_season(step: np.timedelta64, firsts: Sequence[int]) -> int:
    """Return the rows of a season, or 1 where no line has a whole one before its first row to be forecast."""
    rows = season(step)
    return rows if max(firsts) >= rows else 1


def _phase(local: Array, cycle: str) -> tuple[Array, int]:
    """Return the share of the cycle that has passed, and how many waves it is given."""
    if cycle == "day":
        return np.asarray((local - local.astype("datetime64[D]")) / np.timedelta64(86400, "s")), 2
    if cycle == "week":
        return _weekday(local) / 7.0, 3
    return np.asarray((local - local.astype("datetime64[Y]")) / np.timedelta64(round(YEAR), "s")), 1


def _weekday(local: Array) -> Array:
    days: Array = (local.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return days


def _shows_weekday(y: Array, local: Array, step: float) -> bool:
    """Return whether the change of the daily mean depends on the weekday."""
    days, where = np.unique(local[: len(y)].astype("datetime64[D]"), return_inverse=True)
    there = np.isfinite(y)
    counts = np.bincount(where[there], minlength=len(days))
    full = counts >= 0.75 * DAY / step
    means = np.where(full, np.bincount(where[there], y[there], len(days)) / np.maximum(counts, 1), np.nan)
    change = np.diff(means)
    kept = np.isfinite(change)
    change, weekday = change[kept], _weekday(days[1:])[kept]
    if len(change) < 21 or not np.ptp(change):
        return False
    # Ranks, so that one wild day does not decide.
    ranks = np.argsort(np.argsort(change)).astype(float)
    groups = [ranks[weekday == day] for day in range(7)]
    if min(map(len, groups)) < 3:
        return False
    between = sum(len(g) * (g.mean() - ranks.mean()) ** 2 for g in groups) / 6
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (len(ranks) - 7)
    return bool(between > _F_OF_WEEKDAY * max(within, 1e-12))
