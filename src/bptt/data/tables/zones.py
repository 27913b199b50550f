"""Time zones: what the clock on the wall shows at an instant, and which instant it means."""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from bptt.data.tables.parsing import Array
from bptt.errors import InvalidInput, InvalidType

_FIRST, _LAST = np.datetime64("0001-01-03T00:00:00"), np.datetime64("9999-12-29T00:00:00")
_FIXED = re.compile(r"(?:UTC)?([+-])([01]\d|2[0-3]):?([0-5]\d)", re.ASCII)
_QUARTER = 900  # seconds; clocks change at whole quarters of an hour


def check_zone(zone: object) -> tzinfo:
    """Return a time zone by its name, or the clock that is always so much ahead by its offset: +02:00, UTC-03:30.

    Raises
    ------
    InvalidInput, InvalidType
        No such zone on this machine; no name.
    """
    if not isinstance(zone, str):
        raise InvalidType(f"zone must be the name of a time zone such as Europe/Berlin. Got {zone!r}")
    fixed = _FIXED.fullmatch(zone)
    if fixed is not None:
        shift = timedelta(hours=int(fixed[2]), minutes=int(fixed[3]))
        return timezone(-shift if fixed[1] == "-" else shift)
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"zone must be the name of a time zone such as Europe/Berlin. Got {zone!r}, unknown here"
        ) from None


def offset_words(seconds: int) -> str:
    """Return an offset from UTC as ISO 8601 writes it."""
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"


def offsets_at(utc: Array, zone: str) -> Array:
    """Return the seconds that the clocks of a zone are ahead of UTC, int64 (N,), at instants datetime64[s] in UTC."""
    known = check_zone(zone)
    seconds = _within_years(utc).astype(np.int64)
    quarters, place = np.unique(seconds // _QUARTER, return_inverse=True)
    found = np.empty(quarters.size, np.int64)
    for k, moment in enumerate((quarters * _QUARTER).astype("datetime64[s]").tolist()):
        shift = known.fromutc(moment.replace(tzinfo=known)).utcoffset()
        found[k] = 0 if shift is None else round(shift.total_seconds())
    return found[place.reshape(-1)]


def offsets_of_wall(local: Array, zone: str, second: Array) -> Array:
    """Return the seconds that the wall's clock is ahead of UTC, from what it shows.

    Parameters
    ----------
    local : ndarray datetime64[s] (N,)
    zone : str
    second : ndarray bool (N,)
        Where an hour comes twice: whether the second one is meant.
    """
    known = check_zone(zone)
    found = np.empty(local.size, np.int64)
    for k, moment in enumerate(_within_years(local).tolist()):
        shift = moment.replace(tzinfo=known, fold=int(second[k])).utcoffset()
        found[k] = 0 if shift is None else round(shift.total_seconds())
    return found


def _within_years(times: Array) -> Array:
    """Return times that Python's calendar knows: what lies beyond it is moved to its ends, where no clock is set."""
    found: Array = np.clip(times.astype("datetime64[s]"), _FIRST, _LAST)
    return found
