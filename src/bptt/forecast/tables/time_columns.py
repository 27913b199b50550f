"""Which columns of a table hold the time, and what they say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.data.tables import parsing
from bptt.data.tables.frames import Columns
from bptt.data.tables.reading import column_times
from bptt.data.tables.times import Moments, looks_like_time, read_moments
from bptt.data.tables.zones import offsets_at
from bptt.errors import DataError

# Names that a column of times goes by, the surest first.
NAMES = (
    "ds", "time", "timestamp", "datetime", "date_time", "date time", "date", "time_hour", "when", "day", "month",
    "year", "quarter", "utc", "t",
)  # fmt: skip
# Of these the ones that nobody gives to anything else.
_SURE = ("ds", "time", "timestamp", "datetime", "date_time", "date time", "date", "time_hour")
_PARTS = {
    "year": ("year", "yr", "yyyy"),
    "month": ("month", "mo", "mon", "mm"),
    "day": ("day", "dy", "dd", "mday"),
    "hour": ("hour", "hr", "hh"),
    "minute": ("minute", "min", "mi"),
}
_RANGES = {"year": (1, 9999), "month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59)}
_CLOCKS = ("time", "hour", "hr", "clock")
_LOOKED_AT = 3
# A day, a month and a year in some order, or a month and a year.
_DATE_LIKE = re.compile(
    r"(\d{1,4}/\d{1,2}/\d{1,4}|\d{2,4}[-.]\d{2}[-.]\d{2,4}|\d{1,2}[- .][A-Za-z]{3,9}[- .]\d{2,4}"
    r"|(0?[1-9]|1[0-2])[-/.](19|20)\d\d"
    r"|(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|nov(ember)?"
    r"|dec(ember)?)\.?[- '/]+\d\d(\d\d)?)(\s|$)",
    re.IGNORECASE,
)
# Of a day without dashes and what may follow it: digits in all, and what month, day, hour, minute, second may be.
_COMPACT = {8 + 2 * k: ((1, 12), (1, 31), (0, 23), (0, 59), (0, 59))[: 2 + k] for k in range(4)}
# Of what could as well be seconds or milliseconds since 1970.
_COMPACT_YEARS = 1900, 2100
# A count beyond this is no count of rows.
_FURTHEST = 1e15
_DAY = np.timedelta64(86400, "s")


def is_part_name(name: str) -> bool:
    """Return whether a column goes by the name of a part of the time."""
    return any(name.strip().lower() in names for names in _PARTS.values())


@dataclass(frozen=True, eq=False)
class TimeColumns:
    """The time of every row.

    Attributes
    ----------
    names : tuple of str
        Columns that it was made of.
    moments : Moments, optional
        None where the column only counts.
    counts : ndarray int64 (N,), optional
        What it counts.
    told : str
        How it was read, where that is not plain.
    """

    names: tuple[str, ...]
    moments: Moments | None = None
    counts: Array | None = None
    told: str = ""


def find_times(found: Columns, wanted: Sequence[str] | None) -> TimeColumns | None:
    """Read the time columns asked for, or find them; None where the rows have no time.

    Raises
    ------
    DataError
        A column that is not there, or an entry in it that is no time.
    """
    if wanted is not None:
        return _read_together(found, tuple(wanted)) if wanted and wanted != ("",) else None
    lower = {name.strip().lower(): name for name in reversed(found.header) if name}
    parts = _find_parts(lower)
    apart = {name for name in parts.values() if len(parts) > 1}
    for short in NAMES:
        if short not in lower or lower[short] in apart:
            continue
        name = lower[short]
        if not _may_be_time(found, name, named=True):
            continue
        return _read_with_clock(found, name, lower)
    if apart:
        return _from_parts(found, parts)
    sure = next((lower[short] for short in _SURE if short in lower and lower[short] not in apart), None)
    if sure is not None:
        entries = list(_entries(found, sure)[: 10 * _LOOKED_AT])
        row = next((row for row, entry in enumerate(entries) if not parsing.is_missing(entry)), None)
        if row is not None:
            raise DataError(
                f"{found.name}, {found.place(row)}, column {sure!r} must hold times (ISO 8601 text, dates or times). "
                f"Got {entries[row]!r}: rewrite it, or name the column of times (time=, --time); an empty name means "
                "none"
            )
    name = next((name for name in found.header if name and _may_be_time(found, name, named=False)), "")
    if not name:
        _refuse_other_dates(found)
    return _read_with_clock(found, name, lower) if name else None


def _read_with_clock(found: Columns, name: str, lower: dict[str, str]) -> TimeColumns:
    """Read a column of times, together with that of the times of day where it holds the days alone."""
    if not _has_clock(found, name):
        clock = next((lower[c] for c in _CLOCKS if c in lower and lower[c] != name), None)
        if clock is None or not _is_clock(found, clock):
            # By whatever name it goes, and in whatever language: 06:30 in every row is no name of a series.
            clock = next(
                (e for e in found.header if e and _holds_clock(found, e) and _parts_days(found, name, e)),
                None,
            )
        if clock is not None:
            return _read_together(found, (name, clock))
    return _read_one(found, name, asked=False)


def _holds_clock(found: Columns, name: str) -> bool:
    entries = _entries(found, name)
    if isinstance(entries, np.ndarray):
        return False
    return all(":" in str(entry) and _seconds(entry) is not None for entry in entries)


def _parts_days(found: Columns, date: str, clock: str) -> bool:
    """Return whether rows of one day differ by these times of day: the hours of sunrise stand once a day."""
    days, times = (list(map(str, _entries(found, name))) for name in (date, clock))
    return len(set(zip(days, times, strict=True))) > len(set(days))


def _refuse_other_dates(found: Columns) -> None:
    """Raise DataError where a column holds dates in a form that is not read: without it the clock would be lost."""
    for name in filter(None, found.header):
        entries = _entries(found, name)
        some = [] if isinstance(entries, np.ndarray) else _first_entries(found, name)
        if some and all(_DATE_LIKE.match(str(entry).strip()) for entry in some):
            raise DataError(
                f"{found.name}, column {name!r} must hold times in a form that is known, as 2013-01-31 or 31.01.2013. "
                f"Got {some[0]!r}: rewrite it with four digits for the year, or name the column of times (time=, "
                "--time); an empty name means none"
            )


def _entries(found: Columns, name: str) -> Any:
    return found.entries_of(name)


def _first_entries(found: Columns, name: str) -> list[Any]:
    return [entry for entry in _entries(found, name)[: 10 * _LOOKED_AT] if not parsing.is_missing(entry)][
        :_LOOKED_AT
    ]


def _may_be_time(found: Columns, name: str, *, named: bool) -> bool:
    entries = _entries(found, name)
    if isinstance(entries, np.ndarray):
        if entries.dtype.kind != "f" or named:
            return entries.dtype.kind == "M" or (named and _numeric_kind(entries, name) is not None)
        return _is_day_and_clock(entries)
    some = _first_entries(found, name)
    if not some:
        return False
    if all(str(entry).strip().lstrip("-").isdecimal() for entry in some):
        values = parsing.numbers(list(entries), decimal=found.decimal)
        if isinstance(values, np.ndarray):
            return _numeric_kind(values, name) is not None if named else _is_day_and_clock(values)
        return False
    return all(looks_like_time(entry) for entry in some)


def _has_clock(found: Columns, name: str) -> bool:
    entries = _entries(found, name)
    if isinstance(entries, np.ndarray):
        return entries.dtype.kind != "M" or bool((entries.astype("datetime64[D]") != entries).any())
    return any(":" in str(entry) for entry in _first_entries(found, name))


def _is_clock(found: Columns, name: str) -> bool:
    entries = _entries(found, name)
    if isinstance(entries, np.ndarray):
        return entries.dtype.kind == "f" and name.strip().lower() in ("hour", "hr")
    return all(_seconds(entry) is not None for entry in _first_entries(found, name))


def _seconds(entry: object) -> int | None:
    """Return the seconds since midnight of "6", "06:30" or "06:30:00"."""
    pieces = str(entry).strip().split(":")
    if not 1 <= len(pieces) <= 3 or not all(p.isdecimal() and len(p) <= 2 for p in pieces):
        return None
    hour, minute, second = ([int(p) for p in pieces] + [0, 0])[:3]
    return 3600 * hour + 60 * minute + second if hour < 24 and minute < 60 and second < 60 else None


def _numeric_kind(values: Array, name: str) -> str | None:
    """Return how whole numbers mean times, or None if they cannot be told to."""
    known = values[~np.isnan(values)]
    if not known.size or (known != np.round(known)).any() or values.dtype.kind != "f":
        return None
    if not (np.abs(known) < _FURTHEST).all():
        return None
    low, high = float(known.min()), float(known.max())
    if _is_compact(known.astype(np.int64)):
        return "yearmonthday"
    if low >= 1000 and high <= 2999 and ("year" in name.lower() or name.lower() in ("date", "yr")):
        return "year"
    if low >= 1e8 and high < 1e10:
        return "seconds"
    if low >= 1e11 and high < 1e13:
        return "milliseconds"
    return "count" if name.strip().lower() in ("ds", "t", "time", "step") else None


def _is_compact(values: Array) -> bool:
    """Return whether numbers are days without dashes, 20130131, or days and clocks, 201301310600, all of one length.

    The same digits may count seconds or milliseconds since 1970. All of them would hardly be days of a calendar then.
    """
    digits = len(str(int(values.max())))
    if digits not in _COMPACT or len(str(int(values.min()))) != digits:
        return False
    for least, most in reversed(_COMPACT[digits]):
        values, part = np.divmod(values, 100)
        if ((part < least) | (part > most)).any():
            return False
    first, last = _COMPACT_YEARS if digits > len("20130131") else (1000, 2999)
    return bool(((values >= first) & (values <= last)).all())


def _is_day_and_clock(values: Array) -> bool:
    """Return whether all numbers are days with their hours, 2013013106 and longer: times by whatever name."""
    if (
        not values.size
        or not ((values >= 1e9) & (values < _FURTHEST)).all()
        or (values != np.round(values)).any()
    ):
        return False
    return values.size > _LOOKED_AT and _is_compact(values.astype(np.int64))


def _read_one(found: Columns, name: str, *, asked: bool) -> TimeColumns:
    entries = _entries(found, name)
    if isinstance(entries, np.ndarray) and entries.dtype.kind == "M":
        instants = column_times(found, name)
        zone = found.zones.get(name)
        if zone is None:
            return TimeColumns((name,), Moments(instants))
        offset = offsets_at(instants, zone)
        return TimeColumns((name,), Moments(instants + offset.astype("timedelta64[s]"), offset, zone))
    values = entries if isinstance(entries, np.ndarray) else None
    if values is None and all(_is_whole(entry) for entry in _first_entries(found, name)):
        read = parsing.numbers(list(entries), decimal=found.decimal)
        values = read if isinstance(read, np.ndarray) else None
    if values is None:
        return TimeColumns((name,), read_moments(entries, file=found.name, column=name, place=found.place))
    missing = np.flatnonzero(np.isnan(values))
    if missing.size:
        raise DataError(
            f"{found.name}, {found.place(int(missing[0]))}, column {name!r} must hold a time. Got none"
        )
    kind = _numeric_kind(values, name)
    if kind is None and asked and (values == np.round(values)).all() and (np.abs(values) < _FURTHEST).all():
        kind = "count"
    if kind is None:
        raise DataError(
            f"{found.name}, column {name!r} must hold times (ISO 8601 text, dates or times). Got numbers such as "
            f"{values[0]:g}: turn them into times first"
        )
    if kind == "count":
        return TimeColumns((name,), counts=values.astype(np.int64), told="whole numbers, one a row")
    if kind in ("year", "yearmonthday"):
        text = [str(int(value)) for value in values]  # of which none begins with a nought
        return TimeColumns((name,), read_moments(text, file=found.name, column=name, place=found.place))
    unit = 1000 if kind == "milliseconds" else 1
    whole = values.astype(np.int64)
    if (whole % unit).any():
        row = int(np.flatnonzero(whole % unit)[0])
        raise DataError(
            f"{found.name}, {found.place(row)}, column {name!r} must hold whole seconds. Got {whole[row]} ms: "
            "round the times"
        )
    moments = Moments((whole // unit).astype("datetime64[s]"), np.zeros(whole.size, np.int64), "UTC")
    return TimeColumns((name,), moments, told=f"{kind} since 1970, UTC")


def _is_whole(entry: object) -> bool:
    return isinstance(entry, int) or str(entry).strip().lstrip("+-").isdecimal()


def _read_together(found: Columns, names: tuple[str, ...]) -> TimeColumns:
    if len(names) == 1:
        return _read_one(found, names[0], asked=True)
    parts = _find_parts({name.strip().lower(): name for name in names})
    if len(parts) == len(names) and "year" in parts:
        return _from_parts(found, parts)
    if len(names) == 2:
        date = _read_one(found, names[0], asked=True)
        if (
            date.moments is not None
            and not (date.moments.local - date.moments.local.astype("datetime64[D]")).any()
        ):
            return TimeColumns(
                names, Moments(date.moments.local + _clock(found, names[1]), *_rest(date.moments))
            )
    raise DataError(
        f"time must be one column, a date and a time of day, or year, month, day, hour. Got {', '.join(names)}"
    )


def _rest(moments: Moments) -> tuple[Array | None, str | None]:
    return moments.offset, moments.zone


def _clock(found: Columns, name: str) -> Array:
    entries = _entries(found, name)
    if isinstance(entries, np.ndarray):
        entries = [int(value) if float(value).is_integer() else value for value in entries]
    seconds = [_seconds(entry) for entry in entries]
    if None in seconds:
        row = seconds.index(None)
        raise DataError(
            f"{found.name}, {found.place(row)}, column {name!r} must hold a time of day such as 06:30, or an hour "
            f"0 to 23. Got {entries[row]!r}: correct it"
        )
    return np.array(seconds, np.int64).astype("timedelta64[s]")


def _find_parts(lower: dict[str, str]) -> dict[str, str]:
    """Return year, month, day, hour, minute with their columns, as far as they follow on one another."""
    parts: dict[str, str] = {}
    for part, names in _PARTS.items():
        name = next((lower[short] for short in names if short in lower), None)
        if name is None:
            break
        parts[part] = name
    return parts


def _from_parts(found: Columns, parts: dict[str, str]) -> TimeColumns:
    numbers = {part: _whole(found, name, part) for part, name in parts.items()}
    ones = np.ones(len(numbers["year"]), np.int64)
    months = ((numbers["year"] - 1970) * 12 + numbers["month"] - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (numbers.get("day", ones) - 1)
    wrong = np.flatnonzero(days.astype("datetime64[M]") != months)
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            f"{found.name}, {found.place(row)}, column {parts['day']!r} must hold a day of its month. "
            f"Got {numbers['day'][row]} in {months[row]}: correct it"
        )
    seconds = 3600 * numbers.get("hour", 0 * ones) + 60 * numbers.get("minute", 0 * ones)
    local = days.astype("datetime64[s]") + seconds.astype("timedelta64[s]")
    return TimeColumns(tuple(parts.values()), Moments(local))


def _whole(found: Columns, name: str, part: str) -> Array:
    entries = _entries(found, name)
    read = (
        entries if isinstance(entries, np.ndarray) else parsing.numbers(list(entries), decimal=found.decimal)
    )
    low, high = _RANGES[part]
    if isinstance(read, np.ndarray) and read.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero(~((read >= low) & (read <= high) & (read == np.round(read))))
        if not wrong.size:
            return read.astype(np.int64)
        row = int(wrong[0])
    else:
        row = read if isinstance(read, int) else 0
    raise DataError(
        f"{found.name}, {found.place(row)}, column {name!r} must hold a {part} from {low} to {high}. "
        f"Got {entries[row]!r}: correct it, or name the time column (time=, --time)"
    )
