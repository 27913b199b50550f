"""What a table turned out to hold: the roles of its columns, its clock, and what is odd about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from bptt.data.tables.parsing import DECIMALS
from bptt.errors import FileFormatError
from bptt.forecast.panel import Panel

# What is done where a value is missing; docs/tables.md says what each means.
POLICIES = ("forward", "mask", "drop", "error")


@dataclass(frozen=True)
class Finding:
    """Something about the data that their owner should know before a model is trained on them.

    Attributes
    ----------
    kind : str
        One word: "missing", "gap", "duplicate", "unsorted", "frozen", "outlier", "constant", ...
    text : str
        One sentence with numbers and places.
    column : str
        Of the source; "" where it concerns the rows.
    count : int
        Of rows or values.
    warning : bool
        Whether it may spoil a forecast; else it is only said.
    """

    kind: str
    text: str
    column: str = ""
    count: int = 0
    warning: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Layout:
    """Which column is what, as it was found or chosen when the model was trained: plain values, for the model file.

    Attributes
    ----------
    target : str
    time : tuple of str
        The column of times, or several that make a time together (year, month, day, hour); () where rows are counted.
    group : tuple of str
        Columns that tell the series apart.
    past, future, static : tuple of str
        Columns of the source in their roles, before categories are spread over several.
    levels : mapping of str to tuple of str
        The values of each categorical column.
    missing : mapping of str to str
        Policy of each column that has one.
    step : str
        From one row to the next: a number and "s" or "M", as in "3600s".
    clock : str
        "utc": times have an offset; "local": the wall's clock without one; "count": whole numbers.
    zone : str, optional
        Name of the time zone, where the source or the user names it.
    left_out : mapping of str to str
        Columns that are not used, and why.
    series : tuple of str
        Names of the series that there were.
    decimal : str
        The decimal mark of numbers in text.
    """

    target: str
    time: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    step: str = "1s"
    clock: str = "local"
    zone: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    decimal: str = "."

    @property
    def timedelta(self) -> np.timedelta64:
        """Return the step as timedelta64[s] or timedelta64[M]."""
        count, unit = int(self.step[:-1]), self.step[-1]
        return np.timedelta64(count, "M") if unit == "M" else np.timedelta64(count, "s")

    def to_config(self) -> dict[str, Any]:
        """Return plain JSON values."""
        config: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Mapping):
                value = {key: list(v) if isinstance(v, tuple) else v for key, v in value.items()}
            config[each.name] = list(value) if isinstance(value, tuple) else value
        return config

    @classmethod
    def from_config(cls, config: object) -> Layout:
        """Return the layout that `to_config` wrote.

        Raises
        ------
        FileFormatError
            A field that is missing, unknown or of another type.
        """
        names = [each.name for each in fields(cls)]
        if isinstance(config, Mapping):
            config = {"decimal": ".", **config}  # files of before it could be a comma do not say
        if not isinstance(config, Mapping) or sorted(config) != sorted(names):
            raise FileFormatError(f"layout must have the fields {', '.join(names)}. Got {_shown(config)}")
        made: dict[str, Any] = {}
        for name in names:
            value = config[name]
            if name in _TUPLES:
                good = _is_names(value)
                value = tuple(value) if good else value
            elif name in _MAPPINGS:
                inner = _is_names if name == "levels" else _is_text
                good = (
                    isinstance(value, Mapping)
                    and all(map(_is_text, value))
                    and all(map(inner, value.values()))
                )
                if good and name == "levels":
                    value = {key: tuple(entries) for key, entries in value.items()}
            elif name == "step":
                good = (
                    _is_text(value) and value[:-1].isdecimal() and value[-1] in "sM" and int(value[:-1]) > 0
                )
            elif name == "decimal":
                good = value in DECIMALS
            else:
                good = _is_text(value) or (name == "zone" and value is None)
            if not good:
                raise FileFormatError(f"layout must have a valid {name}. Got {_shown(value)}")
            made[name] = value
        return cls(**made)


_TUPLES = ("time", "group", "past", "future", "static", "series")
_MAPPINGS = ("levels", "missing", "left_out")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_names(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True, eq=False)
class PanelData:
    """A table made ready to learn from, with all that was found on the way.

    Attributes
    ----------
    panel : Panel
        Encoded: ``panel.past`` names e.g. "TEMP age" and "wind=NE" beside the plain columns. A value of `Line.past` or
        `Line.future` that is still NaN has nothing before it that could stand for it: the column's mean is meant.
    layout : Layout
    findings : tuple of Finding
        The data page.
    source : str
        For messages and reports.
    kind : str
        What the table came as: "csv", "parquet", "pandas", "polars", "pyarrow", "dict", "array", ...
    rows : int
        That the source has.
    sha256 : str, optional
        Of the file.
    """

    panel: Panel
    layout: Layout
    findings: tuple[Finding, ...] = ()
    source: str = "table"
    kind: str = "dict"
    rows: int = 0
    sha256: str | None = None

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Return the findings that may spoil a forecast."""
        return tuple(finding for finding in self.findings if finding.warning)
