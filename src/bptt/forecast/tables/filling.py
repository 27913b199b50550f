"""Missing values by a stated policy, and categories as columns of 0 and 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bptt.checks import Array, check_choice
from bptt.errors import InvalidInput, InvalidType
from bptt.forecast.tables.layout import POLICIES


def check_missing(missing: object, columns: Sequence[str]) -> dict[str, str]:
    """Return the policy of every column.

    Parameters
    ----------
    missing : str, mapping of str to str, or None
        One of `POLICIES` for all columns, or by column; "forward" where none is named.
    columns : sequence of str
        Those that may be named.

    Raises
    ------
    InvalidInput, InvalidType
        No such column or policy.
    """
    if missing is None or isinstance(missing, str):
        policy = check_choice("missing", "forward" if missing is None else missing, POLICIES)
        return dict.fromkeys(columns, policy)
    if not isinstance(missing, Mapping):
        raise InvalidType(
            f"missing must be one of {', '.join(POLICIES)}, or these by column. Got {missing!r}"
        )
    given: dict[Any, Any] = dict(missing)
    for name, policy in given.items():
        check_choice(f"missing of {name!r}", policy, POLICIES)
        if name not in columns:
            raise InvalidInput(
                f"missing must name columns that are used. Got {name!r}, and the columns {', '.join(columns)}"
            )
    return {name: given.get(name, "forward") for name in columns}


def fill_forward(values: Array) -> tuple[Array, Array]:
    """Return a column with each gap filled with the last value, and the steps since that was seen.

    Before the first value nothing is known: NaN stays, and the steps count from the first row.
    """
    known = ~np.isnan(values)
    row = np.arange(values.size)
    last = np.maximum.accumulate(np.where(known, row, -1))
    filled = np.where(last >= 0, values[np.maximum(last, 0)], np.nan)
    return filled, np.where(last >= 0, row - last, row + 1).astype(np.float64)


def spread(
    name: str, values: Array, levels: Sequence[str] | None, policy: str | None
) -> list[tuple[str, Array]]:
    """Return what a model reads of one column, as (name, values) pairs.

    Parameters
    ----------
    values : ndarray (T,)
        Numbers with NaN, or places among the levels with -1 where missing and -2 where unknown.
    levels : sequence of str, optional
        Of a category: one column of 0 and 1 each, all 0 where it is unknown.
    policy : str, optional
        "forward" adds the age of the value, as the logarithm of 1 + steps; "mask" a column of 1 where it is missing;
        None is for a column of which nothing was missing in training: filled forward without saying so.
    """
    if levels is None:
        numbers = values.astype(np.float64, copy=False)
    else:
        numbers = np.where(values == -1, np.nan, values).astype(np.float64)
    missing = np.isnan(numbers)
    filled, ages = (numbers, np.zeros(numbers.size)) if not missing.any() else fill_forward(numbers)
    parts = [(name, filled)]
    if levels is not None:
        parts = [
            (
                f"{name}={level}",
                (filled == k).astype(np.float64) if policy != "mask" else (numbers == k).astype(np.float64),
            )
            for k, level in enumerate(levels)
        ]
    elif policy == "mask":
        parts = [(name, numbers)]
    if policy == "forward":
        parts.append((f"{name} age", np.log1p(ages)))
    elif policy == "mask":
        parts.append((f"{name} missing", missing.astype(np.float64)))
    return parts
