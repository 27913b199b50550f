"""Text to moments: one way of writing in a column, every entry read by it, nothing guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from bptt.data.tables.parsing import Array, Place, is_missing
from bptt.errors import DataError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED_MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
# After a T the hour may stand alone, as ISO 8601 has it.
_CLOCK = (
    r"(?:[T ,]\s*(?P<H>\d{1,2})"
    r"(?:(?<=T\d\d)(?!\d|:)|:(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d+))?)?(?:\s*(?P<half>[ap]\.?m\.?))?))?"
)
_ZONE = r"(?:\s*(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?"

# The ways a moment may be written, in the order they are tried; a column has one of them throughout.
_FORMS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern + r"\Z", re.IGNORECASE | re.ASCII)
    for name, pattern in {
        "year-month-day": r"(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)" + _CLOCK + _ZONE,
        "yearmonthday": r"(?P<Y>[12]\d{3})(?P<m>\d\d)(?P<d>\d\d)"
        r"(?:[T ]?(?P<H>\d\d)(?::?(?P<M>\d\d)(?::?(?P<S>\d\d))?)?)?" + _ZONE,
        "year-month": r"(?P<Y>\d{4})[-/](?P<m>\d\d?)",
        "year/month/day": r"(?P<Y>\d{4})[/.](?P<m>\d\d?)[/.](?P<d>\d\d?)" + _CLOCK + _ZONE,
        "day.month.year": r"(?P<d>\d\d?)\.(?P<m>\d\d?)\.(?P<Y>\d{4})" + _CLOCK + _ZONE,
        "day/month/year": r"(?P<a>\d\d?)[/-](?P<b>\d\d?)[/-](?P<Y>\d{4})" + _CLOCK + _ZONE,
        "day month year": r"(?P<d>\d\d?)[ -]" + _NAMED_MONTH + r"\.?,?[ -](?P<Y>\d{4})" + _CLOCK + _ZONE,
        "month day year": _NAMED_MONTH + r"\.?[ -](?P<d>\d\d?),?[ -](?P<Y>\d{4})" + _CLOCK + _ZONE,
        "year quarter": r"(?P<Y>\d{4})[ -]?Q(?P<q>[1-4])",
        "quarter year": r"Q(?P<q>[1-4])[ -]?(?P<Y>\d{4})",
        "month year": _NAMED_MONTH + r"\.?[ -](?P<Y>\d{4})",
        "year": r"(?P<Y>[12]\d{3})",
    }.items()
}
_EXPECTED = "a time such as 2013-01-31 06:00 (ISO 8601)"
_EVERYDAY = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?(Z)?\Z", re.ASCII)


@dataclass(frozen=True, eq=False)
class Moments:
    """The times of rows.

    Attributes
    ----------
    local : ndarray datetime64[s] (N,)
        What the clock on the wall showed.
    offset : ndarray int64 (N,), optional
        Seconds that clock is ahead of UTC; None where the source states no offset.
    zone : str, optional
        Name of its zone, where the source has one.
    """

    local: Array
    offset: Array | None = None
    zone: str | None = None

    @property
    def utc(self) -> Array:
        """Return the times in UTC, or by the clock of the source where it states no offset."""
        return self.local if self.offset is None else self.local - self.offset.astype("timedelta64[s]")


def looks_like_time(entry: object, *, bare: bool = False) -> bool:
    """Return whether one entry is written as a moment; a year alone, or digits alone, only where `bare` says so."""
    form = _form_of(str(entry).strip())
    return form is not None and (bare or not str(entry).strip().isdecimal())


def read_moments(entries: Sequence[Any], *, file: str, column: str, place: Place) -> Moments:
    """Read a column of times.

    Parameters
    ----------
    entries : sequence
        Text, dates or datetimes.
    file, column : str
        For messages.
    place : callable
        Turns the index of an entry into the words that name its place ("line 7").

    Raises
    ------
    DataError
        An entry that is missing, is no time, or is written otherwise than the first; a day that cannot be told from
        its month; some entries with an offset and some without; parts of a second.
    """
    plain = [str(entry).strip() for entry in entries]

    def error(row: int, rule: str, remedy: str) -> DataError:
        return DataError(
            f"{file}, {place(row)}, column {column!r} must {rule}. Got {entries[row]!r}: {remedy}"
        )

    rewrite = "rewrite the column, or read the file without it"
    quick = _everyday(plain)
    if quick is not None:
        return quick
    form = next((name for name in map(_form_of, plain) if name is not None), None)
    if form is None:
        raise error(0, f"hold {_EXPECTED}", rewrite)
    pattern = _FORMS[form]
    found = []
    for row, entry in enumerate(plain):
        match = pattern.match(entry)
        if match is None or is_missing(entries[row]):
            match = None if is_missing(entries[row]) else _iso(entry)
            if match is None or form != "year-month-day":
                raise error(row, f"hold {_EXPECTED}", rewrite)
        parts = match.groupdict()
        if (parts.get("f") or "").strip("0"):
            raise error(
                row,
                "hold whole seconds",
                "round the times, or count the rows instead (a column 1, 2, 3, ...)",
            )
        found.append(parts)
    if form == "day/month/year":
        _tell_days(found, lambda row, rule: error(row, rule, "write it as 2013-01-31"))
    stated = [bool(parts.get("zone")) for parts in found]
    if any(stated) and not all(stated):
        row = stated.index(not stated[0])
        which = ("an offset", "none") if stated[0] else ("no offset", "one")
        raise error(row, f"have {which[0]} as in {place(0)}, or {which[1]} anywhere", "write all times alike")
    texts = list(map(_text, found))
    try:
        local = np.array(texts, "datetime64[s]")
    except ValueError:
        for row, text in enumerate(texts):
            try:
                np.datetime64(text, "s")
            except ValueError:
                raise error(row, f"hold {_EXPECTED}", rewrite) from None
        raise
    if not any(stated):
        return Moments(local)
    offset = np.array([_seconds(parts["zone"]) for parts in found], np.int64)
    return Moments(local, offset, None if offset.any() else "UTC")


def _form_of(entry: str) -> str | None:
    return next((name for name, pattern in _FORMS.items() if pattern.match(entry)), None)


def _everyday(plain: list[str]) -> Moments | None:
    """Read what nearly every file holds at NumPy's speed, or return None."""
    zones = set()
    for entry in plain:
        match = _EVERYDAY.match(entry)
        if match is None:
            return None
        zones.add(match[3])
    if len(zones) != 1:
        return None
    stated = zones.pop()
    try:
        local = np.array([entry.rstrip("Z") for entry in plain], "datetime64[s]")
    except ValueError:
        return None
    return Moments(local, np.zeros(local.size, np.int64), "UTC") if stated else Moments(local)


def _iso(entry: str) -> re.Match[str] | None:
    """Match what is ISO 8601 in another dress (a week, no separators), by way of its usual dress."""
    try:
        moment = datetime.fromisoformat(entry)
    except ValueError:
        return None
    return None if len(entry) < len("20130131") else _FORMS["year-month-day"].match(moment.isoformat())


def _tell_days(found: list[dict[str, Any]], error: Callable[[int, str], DataError]) -> None:
    """Tell days from months in 13/01/2013 and 01/13/2013: some number above 12 must show it."""
    first = np.array([int(parts["a"]) for parts in found])
    second = np.array([int(parts["b"]) for parts in found])
    if (first > 12).any() == (second > 12).any():
        rule = "show by some number above 12 which one is the day"
        if (first > 12).any():
            rule = "have the day and the month in one order throughout"
            raise error(int(np.argmax(second > 12 if first[0] > 12 else first > 12)), rule)
        raise error(0, rule)
    day, month = ("a", "b") if (first > 12).any() else ("b", "a")
    for parts in found:
        parts["d"], parts["m"] = parts[day], parts[month]


def _text(parts: dict[str, Any]) -> str:
    if parts.get("q"):
        parts = parts | {"m": 3 * int(parts["q"]) - 2}
    month = parts.get("m") or (1 + _MONTHS.index(parts["name"][:3].lower()) if parts.get("name") else 1)
    hour = int(parts.get("H") or 0)
    half = (parts.get("half") or "").lower()[:1]
    if half:  # 12 am is midnight; 13 pm is none, and 99 is refused with it
        hour = hour % 12 + 12 * (half == "p") if 1 <= hour <= 12 else 99
    return (
        f"{parts['Y']}-{int(month):02}-{int(parts.get('d') or 1):02}"
        f"T{hour:02}:{parts.get('M') or '00'}:{parts.get('S') or '00'}"
    )


def _seconds(zone: str) -> int:
    if zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "")
    total = 3600 * int(digits[:2]) + 60 * int(digits[2:] or 0)
    return -total if zone[0] == "-" else total
