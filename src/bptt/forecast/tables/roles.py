"""What each column of a table is: target, input, known ahead, of the series as a whole, or none of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.data.tables import parsing
from bptt.data.tables.frames import Columns
from bptt.data.tables.table import check_names, find_column
from bptt.data.tables.times import looks_like_time
from bptt.errors import DataError, InvalidInput

# More different words than this are names or remarks, not categories.
MOST_LEVELS = 32
# More inputs than this are no table of measurements; each costs time in every step.
MOST_INPUTS = 2000
_MINUS_ONE = -1


@dataclass(frozen=True, eq=False)
class Column:
    """One column as numbers.

    Attributes
    ----------
    values : ndarray (N,)
        float64, NaN where missing; for a category int64 places among `levels`, -1 where missing, -2 where unknown.
    levels : tuple of str, optional
        Of a category.
    unseen : tuple of str
        Words that are not among the levels it was asked to have.
    """

    name: str
    values: Array
    levels: tuple[str, ...] | None = None
    unseen: tuple[str, ...] = ()

    @property
    def gone(self) -> Array:
        """Return where the value is missing, bool (N,)."""
        return np.asarray(np.isnan(self.values) if self.levels is None else self.values == _MINUS_ONE)


def read_column(found: Columns, name: str, *, levels: Sequence[str] | None = None) -> Column:
    """Read a column as numbers or, if it holds words, as a category.

    Parameters
    ----------
    levels : sequence of str, optional
        Those that a category must have; () for a column that must hold numbers; by default found out.

    Raises
    ------
    DataError
        Infinite numbers, numbers in another dress, words among numbers, times, or too many different words.
    """
    entries = found.entries_of(name)
    if isinstance(entries, np.ndarray) and entries.dtype.kind == "M":
        raise DataError(f"{found.name}, column {name!r} must hold numbers or words. Got times: leave it out")
    read = (
        entries
        if isinstance(entries, np.ndarray)
        else parsing.numbers(entries, typed=found.typed, decimal=found.decimal)
    )
    if isinstance(read, np.ndarray) and not levels:
        _check_finite(found, name, read, entries)
        return Column(name, read)
    words = list(entries)
    if not levels and (levels is not None or not is_text(found, name)):
        row = read if isinstance(read, int) else 0
        place = f"{found.name}, {found.place(row)}, column {name!r}"
        raise parsing.not_a_number(
            words[row],
            place,
            "inputs=, --inputs, or leave this one out: without=, --without",
            decimal=found.decimal,
        )
    texts = ["" if parsing.is_missing(word) else _text(word) for word in words]
    if levels is None:
        some = sorted(set(texts) - {""})
        if len(some) > MOST_LEVELS:
            raise DataError(
                f"{found.name}, column {name!r} must have at most {MOST_LEVELS} different words to be an input. "
                f"Got {len(some)}: leave it out (inputs=, --inputs), or name it as the one that tells series apart "
                "(group=, --group)"
            )
        levels = some
    codes = {level: k for k, level in enumerate(levels)} | {"": _MINUS_ONE}
    unseen = tuple(sorted(set(texts) - set(codes)))
    values = np.array([codes.get(text, -2) for text in texts], np.int64)
    return Column(name, values, tuple(levels), unseen)


def _text(word: object) -> str:
    return str(int(word)) if isinstance(word, float) and word.is_integer() else str(word).strip()


def _check_finite(found: Columns, name: str, values: Array, entries: object) -> None:
    bad = np.flatnonzero(np.isinf(values))
    if bad.size:
        row = int(bad[0])
        shown = entries[row] if isinstance(entries, (list, tuple)) else float(values[row])
        raise DataError(
            f"{found.name}, {found.place(row)}, column {name!r} must be finite. Got {shown!r}: correct it, "
            "or leave it empty if it is missing"
        )


def is_text(found: Columns, name: str) -> bool:
    """Return whether a column holds words: of its entries most are no numbers, nor numbers in another dress."""
    entries = found.entries_of(name)
    if isinstance(entries, np.ndarray):
        return False
    if not parsing.mostly_text(entries, typed=found.typed, decimal=found.decimal):
        return False
    return found.typed or parsing.dressed_number(entries, decimal=found.decimal) is None


def numbers_as_text(found: Columns, name: str) -> bool:
    """Return whether a source that knows numbers from text holds numbers as text here."""
    entries = found.entries_of(name)
    if isinstance(entries, np.ndarray) or not found.typed:
        return False
    texts = [entry for entry in entries if isinstance(entry, str)]
    return bool(texts) and not parsing.mostly_text(texts)


@dataclass(frozen=True, eq=False)
class Roles:
    """The columns in their roles, and those that have none with the reason."""

    target: str
    past: tuple[str, ...]
    future: tuple[str, ...]
    static: tuple[str, ...]
    left_out: Mapping[str, str]


def check_roles(**given: object) -> dict[str, tuple[str, ...] | None]:
    """Return each role's column names as a tuple, None where none were asked for; no column in two roles.

    Raises
    ------
    InvalidType, InvalidInput
        No names, or a column with two roles.
    """
    made: dict[str, tuple[str, ...] | None] = {}
    holder: dict[str, str] = {}
    for role, names in given.items():
        if isinstance(names, str):
            names = (names,)
        if names is None:
            made[role] = None
        else:
            several = list(names) if isinstance(names, Iterable) else names
            made[role] = () if several == [] else check_names(role, several)
        for name in made[role] or ():
            if name in holder:
                raise InvalidInput(
                    f"{role} must name no column that has a role already. Got {name!r}, which is {holder[name]}"
                )
            holder[name] = role
    return made


def find_target(found: Columns, wanted: str | None, taken: Sequence[str]) -> str:
    """Return the column to forecast: the one asked for, "y", or the only one of numbers."""
    if wanted is not None:
        find_column(wanted, found.header, found.name)
        return wanted
    if "y" in found.header:
        return "y"
    rest = [name for name in found.header if name and name not in taken]
    if not rest:
        raise DataError(f"{found.name} must have a column to forecast. Got only {', '.join(taken)}")
    # A table of very many columns is not searched to its end for a message.
    numeric = [name for name in rest[:200] if not is_text(found, name) and not _is_moment(found, name)]
    if len(numeric) == 1:
        return numeric[0]
    raise DataError(
        f"target must name the column to forecast (target=, --target). Got none, and the columns "
        f"{', '.join(numeric[:40])}"
    )


def _is_moment(found: Columns, name: str) -> bool:
    entries = found.entries_of(name)
    return isinstance(entries, np.ndarray) and entries.dtype.kind == "M"


def find_group(found: Columns, repeats: Callable[[Array], bool], taken: Sequence[str]) -> str | None:
    """Return the column that tells series apart where times repeat: by it, none does."""
    best: tuple[int, str] | None = None
    for name in found.header:
        if not name or name in taken:
            continue
        entries = found.entries_of(name)
        if isinstance(entries, np.ndarray) and entries.dtype.kind == "M":
            continue
        some = list(entries[:1000])
        if isinstance(entries, np.ndarray) and (len(set(some)) > len(some) // 2 or np.mod(entries, 1).any()):
            continue
        labels = np.array([_text(entry) for entry in entries])
        many, codes = np.unique(labels, return_inverse=True)
        if (
            2 <= many.size <= len(labels) // 2
            and not repeats(codes.reshape(-1))
            and (best is None or many.size < best[0])
        ):
            best = (many.size, name)
    return None if best is None else best[1]


def choose_roles(
    found: Columns,
    *,
    target: str,
    taken: Mapping[str, str],
    inputs: tuple[str, ...] | None,
    future: tuple[str, ...] | None,
    static: tuple[str, ...] | None,
    is_static: Callable[[Column], bool],
    is_counter: Callable[[Array], bool],
    is_part: Callable[[str], bool],
) -> tuple[Roles, dict[str, Column]]:
    """Give every column its role and read those that have one; what is named explicitly wins."""
    columns = {target: read_column(found, target, levels=())}
    left_out: dict[str, str] = {}
    for name in (*(inputs or ()), *(future or ()), *(static or ())):
        columns[name] = read_column(found, name)
    past = [name for name in inputs or () if name != target]
    statics = list(static or ())
    named = set(columns) | set(taken)
    rest = [] if inputs is not None else [name for name in found.header if name and name not in named]
    if len(rest) + len(past) > MOST_INPUTS:
        raise DataError(
            f"{found.name} must have at most {MOST_INPUTS} inputs. Got {len(rest) + len(past)}: name those to use "
            "(inputs=, --inputs)"
        )
    for name in rest:
        column, reason = _offered(found, name)
        if column is not None and column.levels is None:
            known = column.values[~np.isnan(column.values)]
            if not known.size:
                reason = "empty"
            elif (known == known[0]).all():
                reason = "constant"
            elif is_part(name):
                reason = "part of the time"
            elif is_counter(column.values):
                reason = "counts the rows"
        elif column is not None and len(column.levels or ()) < 2:
            reason = "constant" if column.levels else "empty"
        if column is None or reason:
            left_out[name] = reason
            continue
        columns[name] = column
        if static is None and is_static(column):
            statics.append(name)
        else:
            past.append(name)
    roles = Roles(target, tuple(past), tuple(future or ()), tuple(statics), left_out)
    return roles, columns


def _offered(found: Columns, name: str) -> tuple[Column | None, str]:
    """Read a column that nobody asked for, or say why it is of no use."""
    if _is_moment(found, name):
        return None, "another time"
    if numbers_as_text(found, name):
        return None, "numbers as text"
    if is_text(found, name):
        entries = found.entries_of(name)
        words = [_text(entry) for entry in entries if not parsing.is_missing(entry)]
        if words and all(map(looks_like_time, words[:3])):
            return None, "another time"
        if len(set(words)) > min(MOST_LEVELS, len(words) // 2):
            return None, "text"
    return read_column(found, name), ""
