"""Which zone's clocks a column of changing offsets was written by."""

from __future__ import annotations

import numpy as np

from bptt.checks import Array
from bptt.data.tables.zones import offsets_at
from bptt.errors import InvalidInput

# Places whose clocks change by different rules, the best known of each first.
_PLACES = (
    "Europe/Berlin", "Europe/London", "Europe/Athens", "Europe/Chisinau", "America/New_York", "America/Chicago",
    "America/Denver", "America/Los_Angeles", "America/Anchorage", "America/Halifax", "America/St_Johns",
    "America/Havana", "America/Santiago", "America/Asuncion", "Atlantic/Azores", "Africa/Cairo", "Africa/Casablanca",
    "Asia/Jerusalem", "Asia/Beirut", "Australia/Sydney", "Australia/Adelaide", "Australia/Lord_Howe",
    "Pacific/Auckland", "Pacific/Chatham",
)  # fmt: skip
# The rules of two places differ, if at all, within so many hours after the last row.
_AHEAD = 2 * 366 * 24


def recognise_zone(utc: Array, offset: Array) -> str | None:
    """Return the zone whose clocks show these offsets, by the name of its best known place.

    None where no place has them all, and where two that have do not agree on the two years to come.

    Parameters
    ----------
    utc : ndarray datetime64[s] (N,)
    offset : ndarray int64 (N,)
        Seconds that the wall's clock was ahead.
    """
    ahead = utc.max() + np.arange(0, _AHEAD, 6) * np.timedelta64(3600, "s")
    found: str | None = None
    rules: Array | None = None
    # Most are out at the first row.
    some = np.unique(np.concatenate([[0], np.flatnonzero(np.diff(offset)) + 1, [len(offset) - 1]]))
    for name in _PLACES:
        try:
            if (offsets_at(utc[some], name) != offset[some]).any() or (offsets_at(utc, name) != offset).any():
                continue
            own = offsets_at(ahead, name)
        except InvalidInput:  # this machine's list of zones is older
            continue
        if rules is None:
            found, rules = name, own
        elif (own != rules).any():
            return None
    return found
