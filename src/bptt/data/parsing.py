"""Text to numbers and times, strictly: what does not read as one is an error, never a guess."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.errors import DataError

Array = npt.NDArray[Any]
Place = Callable[[int], str]

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none"))
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_SHORTEST = len("2013-01-31")
_OFFSET = re.compile(r"[+-]\d\d:?\d\d$")


def is_missing(entry: object) -> bool:
    """Return whether an entry stands for a missing value."""
    if entry is None:
        return True
    if isinstance(entry, str):
        return entry.strip().lower() in MISSING
    return isinstance(entry, float) and math.isnan(entry)


def number(entry: object, *, typed: bool = False) -> float:
    """Return an entry as a number, NaN where it is missing; ValueError or TypeError if it is neither.

    `typed` entries come from a source that knows numbers from text: there "1.5" is text.
    """
    if isinstance(entry, str) and (typed or "_" in entry):
        raise ValueError(entry)  # Python reads 1_000 as a thousand; data files do not mean that
    if is_missing(entry):
        return math.nan
    return float(entry)  # type: ignore[arg-type]  # any object is tried, that is the check


def numbers(entries: Sequence[Any], *, typed: bool = False) -> Array | int:
    """Return entries as float64 (N,), missing ones as NaN, or the index of the first that is neither."""
    if not typed:
        try:
            fast = np.array(list(map(float, entries)))
        except ValueError:
            pass  # something is missing or is text: look at each entry
        else:
            if "_" not in "".join(entries):
                return fast
    found = np.empty(len(entries))
    for row, entry in enumerate(entries):
        try:
            found[row] = number(entry, typed=typed)
        except (ValueError, TypeError):
            return row
    return found


def mostly_text(entries: Sequence[Any], *, typed: bool = False) -> bool:
    """Return whether fewer than half of the entries that are not missing are numbers.

    A column of words is text. A column of numbers with a stray word is a faulty column of numbers.
    """
    good = present = 0
    for entry in entries:
        if is_missing(entry):
            continue
        present += 1
        try:
            number(entry, typed=typed)
        except (ValueError, TypeError):
            continue
        good += 1
    return 2 * good < present


def times(entries: Sequence[Any], *, file: str, column: str, place: Place) -> Array:
    """Return ISO 8601 dates or times as datetime64[s] (N,); those with an offset are turned to UTC.

    `place` turns the index of an entry into the words that name its place ("line 7").

    Raises
    ------
    DataError
        At the first entry that is not one, or is missing.
    """
    plain = [str(entry).strip().removesuffix("Z") for entry in entries]
    # NumPy is fast, but reads a bare year and a month as times too, and an offset not at all.
    if all(len(entry) >= _SHORTEST for entry in plain) and not any(
        _OFFSET.search(entry[_SHORTEST:]) for entry in plain
    ):
        try:
            return np.array(plain, dtype="datetime64[s]")
        except ValueError:
            pass  # one of them is not a time: look at each entry
    found = np.empty(len(entries), "datetime64[s]")
    for row, entry in enumerate(entries):
        try:
            moment = datetime.fromisoformat(str(entry).strip())
        except ValueError:
            raise DataError(
                f"{file}, {place(row)}, column {column!r} must hold a time such as 2013-01-31 06:00 (ISO 8601). "
                f"Got {entry!r}: rewrite the column, or read the file without it"
            ) from None
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        found[row] = np.datetime64(moment, "s")
    return found


def not_a_number(entry: object, where: str) -> DataError:
    """Return the error for an entry of a number column that is not a number."""
    if isinstance(entry, str) and _DECIMAL_COMMA.fullmatch(entry.strip()):
        remedy = "write a decimal point, or read the file with pandas.read_csv(..., decimal=',') and pass the frame"
    else:
        remedy = (
            "correct it, leave it empty if it is missing, or name the columns to use (columns=, --columns)"
        )
    return DataError(f"{where} must hold a number. Got {entry!r}: {remedy}")
