"""Tables: named columns of numbers and, where asked for, the times of the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bptt.data.tables.parsing import Array
from bptt.errors import DataError, InvalidType

_SHOWN = 40  # column names that a message lists


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of numbers in the order of time.

    Attributes
    ----------
    columns : tuple of str
        Names, C of them.
    values : ndarray float64 (N, C)
        In the units of the source; NaN where missing. Read-only.
    times : ndarray datetime64 (N,), optional
        Time of each row; in UTC where the source states an offset. Read-only.
    source : str
        Where it came from, for messages and reports.
    sha256 : str, optional
        Of the file's bytes; None for a frame.
    dropped : tuple of str
        Columns that hold no numbers and were left out because no columns were asked for.
    """

    columns: tuple[str, ...]
    values: Array
    times: Array | None = None
    source: str = "table"
    sha256: str | None = None
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", read_only(self.values))
        if self.times is not None:
            object.__setattr__(self, "times", read_only(self.times))

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def index(self, column: str) -> int:
        """Return the number of a column.

        Raises
        ------
        DataError
            If there is none of that name; the message lists those there are.
        """
        return find_column(column, self.columns, self.source)

    def column(self, column: str) -> Array:
        """Return one column, float64 (N,)."""
        return np.asarray(self.values[:, self.index(column)])

    def select(self, columns: Sequence[str]) -> Table:
        """Return the table with these columns in this order."""
        names = check_names("columns", columns)
        return replace(self, columns=names, values=self.values[:, [self.index(name) for name in names]])

    def rows(self, rows: slice) -> Table:
        """Return the table with these rows only."""
        return replace(self, values=self.values[rows], times=None if self.times is None else self.times[rows])


def read_only(array: Array) -> Array:
    """Return a view that cannot be written through; the array itself stays as it is."""
    view = array.view()
    view.flags.writeable = False
    return view


def check_names(name: str, columns: object) -> tuple[str, ...]:
    """Return column names as a tuple: at least one, all text, none twice."""
    if isinstance(columns, str) or not isinstance(columns, Sequence) or not columns:
        raise InvalidType(f"{name} must be a sequence of at least one column name. Got {columns!r}")
    wrong = [column for column in columns if not isinstance(column, str)]
    if wrong:
        raise InvalidType(f"{name} must be column names. Got {wrong[0]!r}")
    twice = next((column for column, count in Counter(columns).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{name} must name each column once. Got {twice!r} twice")
    return tuple(columns)


def find_column(column: str, header: Sequence[str], source: str) -> int:
    """Return the place of a column in a header, or raise with the columns there are."""
    if column not in header:
        names = [name for name in header if name]
        there = ", ".join(names[:_SHOWN]) + (
            f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        )
        raise DataError(f"{source} must have the column {column!r}. Got the columns {there}")
    return list(header).index(column)
