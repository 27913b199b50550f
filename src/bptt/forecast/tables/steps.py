"""The step from one row to the next, found from the times; rows laid out one step apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.errors import InvalidInput

_DAY = 86400
_SHORTEST_MONTH = 28 * _DAY
# Steps that clocks and people use, in seconds: what jittering times are rounded to.
_USUAL = (
    1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 28800, 43200,
    _DAY, 7 * _DAY,
)  # fmt: skip
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": _DAY, "w": 7 * _DAY}
_MONTHS = {"m": 1, "month": 1, "q": 3, "quarter": 3, "y": 12, "year": 12}
_WORDS = {"second": "s", "minute": "min", "hour": "h", "day": "d", "week": "w", "t": "min"}
# Of a step: how far times may lie beside it and still be meant.
_JITTER = 0.1
_MOST = 0.95


@dataclass(frozen=True, eq=False)
class Laid:
    """Where the rows of one series lie on the even clock.

    Attributes
    ----------
    times : ndarray datetime64[s] (T,)
        Of the clock, from the first row to the last.
    place : ndarray of int (N',)
        Of each row kept.
    kept : ndarray bool (N,)
        Rows that lie on the clock.
    rounded : int
        Seconds by which a time was moved, at most.
    """

    times: Array
    place: Array
    kept: Array
    rounded: int = 0


def find_step(lines: Sequence[Array]) -> np.timedelta64 | None:
    """Return the usual step of several series of increasing times, as timedelta64[s] or [M]; None if there is none."""
    gaps = [np.diff(times).astype(np.int64) for times in lines]
    every = np.concatenate(gaps) if gaps else np.empty(0, np.int64)
    if not every.size:
        return None
    values, often = np.unique(every, return_counts=True)
    usual = int(values[np.argmax(often)])
    if int(values[0]) >= _SHORTEST_MONTH:
        months = np.concatenate([np.diff(times.astype("datetime64[M]")).astype(np.int64) for times in lines])
        anchored = all(_anchor(times) is not None for times in lines)
        if anchored or (values.size > 1 and bool((months == months[0]).all())):
            found, counts = np.unique(months, return_counts=True)
            return np.timedelta64(int(found[np.argmax(counts)]), "M")
    if 2 * int(often.max()) < every.size:
        middle = float(np.median(every))
        nearest = min(_USUAL, key=lambda step: abs(np.log(step / middle)))
        beside = np.abs(every - nearest * np.maximum(1, np.round(every / nearest)))
        if (beside <= _JITTER * nearest).mean() >= _MOST:
            return np.timedelta64(nearest, "s")
    return np.timedelta64(usual, "s")


def count_steps(times: Array, step: np.timedelta64) -> int:
    """Return how many rows the clock has from the first of increasing times to the last."""
    unit = np.datetime_data(step.dtype)[0]
    span = times[-1].astype(f"datetime64[{unit}]") - times[0].astype(f"datetime64[{unit}]")
    return int(span // step) + 1


def lay_out(times: Array, step: np.timedelta64) -> Laid:
    """Lay increasing times on a clock of this step; rows beside it are not kept."""
    if np.datetime_data(step.dtype)[0] == "M":
        months = times.astype("datetime64[M]")
        index = (months - months[0]).astype(np.int64)
        width = int(step.astype(np.int64))
        kept = index % width == 0
        place = index[kept] // width
        return Laid(advance(times, int(place[-1]) + 1, step, first=True), place, kept)
    width = int(step.astype(np.int64))
    seconds = times.astype(np.int64)
    # The clock goes through as many rows as possible.
    values, often = np.unique(seconds % width, return_counts=True)
    begin = int(values[np.argmax(often)])
    beside = (seconds - begin + width // 2) % width - width // 2
    rounded = 0
    kept = beside == 0
    if not kept.all() and width > 1 and (np.abs(beside) <= _JITTER * width).all():
        moved = seconds - beside
        if (np.diff(moved) > 0).all():
            rounded = int(np.abs(beside).max())
            seconds, kept = moved, np.ones(seconds.size, bool)
    on = seconds[kept]
    place = (on - on[0]) // width
    every = on[0] + np.arange(int(place[-1]) + 1) * width
    return Laid(every.astype("datetime64[s]"), place, kept, rounded)


def advance(times: Array, count: int, step: np.timedelta64, *, first: bool = False) -> Array:
    """Return `count` times, each a step on: after the last of `times`, or from the first of them on."""
    start = times[0] if first else times[-1]
    k = np.arange(count) + (0 if first else 1)
    if np.datetime_data(step.dtype)[0] != "M":
        return np.asarray((start + k * step).astype("datetime64[s]"))
    months = start.astype("datetime64[M]") + k * step
    if _anchor(times) == "end":
        clock = start - start.astype("datetime64[D]")
        return np.asarray(
            (months + 1).astype("datetime64[D]").astype("datetime64[s]") - np.timedelta64(_DAY, "s") + clock
        )
    beyond = start - start.astype("datetime64[M]")
    if _anchor(times) is None and len(times) > 1:
        beyond = np.timedelta64(0, "s")
    # The 31st of a month that has only 30 days is its last one.
    last = (
        (months + 1).astype("datetime64[s]") - np.timedelta64(_DAY, "s") + beyond % np.timedelta64(_DAY, "s")
    )
    return np.asarray(np.minimum(months.astype("datetime64[s]") + beyond, last))


def _anchor(times: Array) -> str | None:
    """Return "day" if all times lie on one day of the month, "end" if on its last one, at one time of day."""
    begins = times.astype("datetime64[M]")
    within = times - begins
    if len(times) == 1 and (times[0].astype("datetime64[D]") + 1).astype("datetime64[M]") != begins[0]:
        return "end"  # the last day of February alone: months' ends are far more common than the 28th
    if (within == within[0]).all() and within[0] < np.timedelta64(28 * _DAY, "s"):
        return "day"
    ends = (begins + 1).astype("datetime64[s]") - times
    if (ends == ends[0]).all() and np.timedelta64(0, "s") < ends[0] <= np.timedelta64(_DAY, "s"):
        return "end"
    return "day" if (within == within[0]).all() else None


def parse_step(text: object) -> np.timedelta64:
    """Return a step from words such as "10 min", "1h", "day", "week", "month", "quarter" or "year".

    Raises
    ------
    InvalidInput
        Not a number and a unit.
    """
    if isinstance(text, np.timedelta64):
        unit = np.datetime_data(text.dtype)[0]
        made = text if unit == "M" else text.astype("timedelta64[s]")
        if unit == "Y":
            made = text.astype("timedelta64[M]")
        if made.astype(np.int64) > 0 and (unit in "MY" or made == text):
            return made
    elif isinstance(text, str):
        digits = "".join(letter for letter in text.strip() if letter.isdecimal())
        given = text.strip().lower().removeprefix(digits).strip()
        unit = given if given in _MONTHS else given.removesuffix("s") or given
        unit = _WORDS.get(unit, unit)
        count = int(digits or 1)
        if count and unit in _MONTHS:
            return np.timedelta64(count * _MONTHS[unit], "M")
        if count and unit in _UNITS:
            return np.timedelta64(count * _UNITS[unit], "s")
    raise InvalidInput(f"step must be a time such as 10 min, 1 h, 1 day or 1 month. Got {text!r}")


def step_words(step: np.timedelta64) -> str:
    """Return a step in words: "1 h", "10 min", "1 month"."""
    count = int(step.astype(np.int64))
    if np.datetime_data(step.dtype)[0] == "M":
        unit, size = next((u, s) for u, s in (("year", 12), ("month", 1)) if count % s == 0)
        return f"{count // size} {unit}" + ("s" if count > size else "")
    for unit, size in (("week", 7 * _DAY), ("day", _DAY), ("h", 3600), ("min", 60)):
        if count % size == 0 and count:
            many = count // size
            return f"{many} {unit}" + ("s" if many > 1 and unit in ("week", "day") else "")
    return f"{count} s"
