"""Missing values: found and named, or filled forward by a stated rule with the counts returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import check_whole
from bptt.data.tables.table import Table
from bptt.errors import DataError


@dataclass(frozen=True)
class Filled:
    """A table without gaps, and what was filled.

    Attributes
    ----------
    table : Table
        The filled table.
    counts : dict
        Values filled in each column, those with none left out.
    """

    table: Table
    counts: dict[str, int]


def check_complete(table: Table, columns: Sequence[str] | None = None) -> None:
    """Raise if a value is missing or infinite in the columns used.

    Parameters
    ----------
    table : Table
    columns : sequence of str, optional
        The columns used; all by default.

    Raises
    ------
    DataError
        Naming the first such column, how many values, the first row (1 is the first under the header) and remedies.
    """
    for name in table.columns if columns is None else columns:
        bad = np.flatnonzero(~np.isfinite(table.column(name)))
        if bad.size:
            kind = "missing" if np.isnan(table.column(name)[bad]).all() else "missing or infinite"
            raise DataError(
                f"{table.source}, column {name!r} must have a number in every row. Got {bad.size} of {len(table)} "
                f"{kind}, the first in row {int(bad[0]) + 1}: name the columns to use (columns=, --columns), "
                "or fill it (bptt.data.fill_forward)"
            )


def fill_forward(table: Table, columns: Sequence[str] | None = None, *, longest: int | None = None) -> Filled:
    """Fill each missing value with the last one known in its column.

    Nothing after a gap is used, so a forecast made from filled data uses only what was known at the time.

    Parameters
    ----------
    table : Table
    columns : sequence of str, optional
        Columns to fill; all by default.
    longest : int, optional
        Rows that one gap may have; by default any number.

    Returns
    -------
    Filled
        The table and the counts by column.

    Raises
    ------
    DataError
        A column that begins with a missing value, or has a gap longer than `longest`.
    """
    limit = None if longest is None else check_whole("longest", longest)
    values = table.values.copy()
    counts: dict[str, int] = {}
    for name in table.columns if columns is None else columns:
        column = table.column(name)
        known = ~np.isnan(column)
        if known.all():
            continue
        if not known[0]:
            raise DataError(
                f"{table.source}, column {name!r} must begin with a number to be filled forward. Got a missing value "
                "in row 1: drop the rows before the first number"
            )
        source = np.maximum.accumulate(np.where(known, np.arange(column.size), 0))
        gap = int((np.arange(column.size) - source).max())
        if limit is not None and gap > limit:
            raise DataError(
                f"{table.source}, column {name!r} must have no gap longer than longest = {limit} rows. Got {gap}: "
                "raise longest, or cut the table there"
            )
        values[:, table.index(name)] = column[source]
        counts[name] = int((~known).sum())
    return Filled(replace(table, values=values), counts)
