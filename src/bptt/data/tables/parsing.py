"""Text to numbers, strictly: what does not read as one is an error, never a guess."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.errors import DataError

Array = npt.NDArray[Any]
Place = Callable[[int], str]

# The marks that part a number's whole part from the rest.
DECIMALS = (".", ",")
MISSING = frozenset(("", "na", "n/a", "nan", "null", "none"))
# Marks of a missing value too, and of nothing else, but not taken for one: behind a faulty formula stood a number.
_BLANKS = re.compile(
    r"[-–—.?*]+|#(?:n/?a|value!|div/0!|ref!|num!|name\?|null!)|n\.\s?a\.?|<na>|\(null\)|nat|nil|missing|no ?data"
    r"|[+-]?1\.#\w+|[+-]?nan\(\w*\)",
    re.IGNORECASE,
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_THOUSANDS = {
    ".": re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?"),
    ",": re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?"),
}
_DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d*([eE][+-]?\d+)?")
_SHOWN = 60  # letters of an entry in a message
# Numbers in a dress that float() does not know: decimal comma, thousands marks, a currency or a per cent sign, a minus
# that is none or stands behind, Fortran's exponent.
_DRESSED = re.compile(
    r"[$€£¥']?\s*\(?[+\-−–]?\s*[$€£¥]?\s*\d[\d.,'’ \u00a0\u2009\u202f]*(?:[eEdD][+\-−]?\d+)?\s*[%‰$€£¥]?\)?-?"
)
# From here on not every whole number is a float64.
_EXACT = 2.0**53


def is_missing(entry: object) -> bool:
    """Return whether an entry stands for a missing value."""
    if entry is None:
        return True
    if isinstance(entry, str):
        return entry.strip().lower() in MISSING
    return isinstance(entry, float) and math.isnan(entry)


def number(entry: object, *, typed: bool = False, decimal: str = ".") -> float:
    """Return an entry as a number, NaN where it is missing; ValueError or TypeError if it is neither.

    `typed` entries come from a source that knows numbers from text: there "1.5" is text. With the decimal mark "," a
    point is none: 1.234 may mean a thousand there.
    """
    if isinstance(entry, str) and (typed or "_" in entry):
        raise ValueError(entry)  # Python reads 1_000 as a thousand; data files do not mean that
    if decimal == "," and isinstance(entry, str):
        if "." in entry:
            raise ValueError(entry)
        entry = entry.replace(",", ".")
    if is_missing(entry):
        return math.nan
    value = float(entry)  # type: ignore[arg-type]  # any object is tried, that is the check
    if abs(value) >= _EXACT and not _is_exact(entry, value):
        raise ValueError(entry)
    return value


def _is_exact(entry: object, value: float) -> bool:
    """Return whether a large number is the one written: 1e999 is not, nor is one with too many digits."""
    text = str(entry).strip()
    if math.isinf(value):
        return "inf" in text.lower()
    return not text.lstrip("+-").isdecimal() or int(text) == int(value)


def numbers(entries: Sequence[Any], *, typed: bool = False, decimal: str = ".") -> Array | int:
    """Return entries as float64 (N,), missing ones as NaN, or the index of the first that is neither."""
    if not typed and (decimal == "." or "." not in "".join(entries)):
        plain = entries if decimal == "." else [entry.replace(decimal, ".") for entry in entries]
        try:
            fast = np.array(list(map(float, plain)))
        except ValueError:
            pass  # something is missing or is text: look at each entry
        else:
            with np.errstate(invalid="ignore"):
                large = bool((np.abs(fast) >= _EXACT).any())
            if not large and "_" not in "".join(entries):
                return fast
    found = np.empty(len(entries))
    for row, entry in enumerate(entries):
        try:
            found[row] = number(entry, typed=typed, decimal=decimal)
        except (ValueError, TypeError):
            return row
    return found


def mostly_text(entries: Sequence[Any], *, typed: bool = False, decimal: str = ".") -> bool:
    """Return whether fewer than half of the entries that are not missing are numbers.

    A column of words is text. A column of numbers with a stray word is a faulty column of numbers; and so, however
    often it stands there, is one with "-", "#N/A" or another mark of a missing value that is not read as such, and
    one of broken numbers and a single word, which can mean nothing else.
    """
    good = present = blank = 0
    broken, words = False, set()
    for entry in entries:
        if is_missing(entry):
            continue
        if isinstance(entry, str) and _BLANKS.fullmatch(entry.strip()):
            blank += 1
            continue
        present += 1
        try:
            value = number(entry, typed=typed, decimal=decimal)
        except (ValueError, TypeError):
            words.add(str(entry).strip())
            continue
        good += 1
        broken = broken or not value.is_integer()
    if not good:
        return bool(present or blank)
    return 2 * good < present and not (broken and len(words) == 1)


def dressed_number(entries: Sequence[Any], *, decimal: str = ".") -> int | None:
    """Return the first entry that is a number in a dress ("1,5", "1 234", "12 %"), if most entries are; else None."""
    present = [row for row, entry in enumerate(entries) if not is_missing(entry)]
    like = [row for row in present if _is_dressed(entries[row])]
    if not like or 2 * len(like) < len(present):
        return None
    return next((row for row in like if _stays_text(entries[row], decimal)), None)


def _is_dressed(entry: object) -> bool:
    if not isinstance(entry, str):
        return False
    text = entry.strip()
    if text.startswith('="') and text.endswith('"'):  # a spreadsheet's way to keep a number as text
        text = text[2:-1]
    return _DRESSED.fullmatch(text) is not None


def _stays_text(entry: str, decimal: str = ".") -> bool:
    try:
        number(entry, decimal=decimal)
    except ValueError:
        return True
    return False


def not_a_number(
    entry: object,
    where: str,
    choose: str = "columns=, --columns",
    *,
    decimal: str = ".",
) -> DataError:
    """Return the error for an entry of a number column that is not a number.

    `choose` names how to leave the column out.
    """
    text = entry.strip() if isinstance(entry, str) else ""
    mark = "point" if decimal == "." else "comma"
    comma = "decimal=',', --decimal ,"
    if text and not _stays_text(text, decimal):
        remedy = "it is text in this frame: turn the column into numbers first, as by astype(float)"
    elif decimal == "." and _DECIMAL_COMMA.fullmatch(text) and not _THOUSANDS["."].fullmatch(text):
        remedy = f"write a decimal point, or say that commas are decimal marks ({comma})"
    elif decimal == "." and _THOUSANDS["."].fullmatch(text):
        remedy = f"write it without thousands marks, or say that commas are decimal marks if that is meant ({comma})"
    elif _THOUSANDS[decimal].fullmatch(text):
        remedy = "write it without thousands marks, or with a decimal comma if that is meant"
    elif decimal == "," and _DECIMAL_POINT.fullmatch(text):
        remedy = "write a decimal comma as was asked for, or read the file with decimal points"
    elif text.lstrip("+-").isdecimal():
        remedy = f"it has more digits than a float64 holds; name the columns to use ({choose})"
    elif any(letter.isdigit() for letter in text) and _is_dressed(entry):
        remedy = f"write it as plain digits with a decimal {mark}, or name the columns to use ({choose})"
    else:
        remedy = f"correct it, leave it empty if it is missing, or name the columns to use ({choose})"
    shown = repr(entry)
    shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."
    return DataError(f"{where} must hold a number. Got {shown}: {remedy}")
