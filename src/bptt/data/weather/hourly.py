"""Hourly weather for the lab: Beijing, New York or the user's own file, in whole days."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bptt.checks import check_choice
from bptt.data.missing import check_complete
from bptt.data.regular import regular
from bptt.data.tables.parsing import DECIMALS, Array
from bptt.data.tables.reading import assemble, column_times, open_columns, read_file
from bptt.data.tables.table import Table, check_names
from bptt.data.tables.times import looks_like_time
from bptt.data.weather.beijing import SHA256 as BEIJING_SHA256
from bptt.data.weather.beijing import Found, beijing_table, find_beijing, look_for_beijing
from bptt.data.weather.nyc import load_nyc
from bptt.errors import DataError, InvalidType

TARGET = "TEMP"
ROWS_A_DAY = 24
TIME_NAMES = ("time", "timestamp", "datetime", "date_time", "date", "time_hour", "ds")


@dataclass(frozen=True, eq=False)
class WeatherData:
    """Hourly rows in whole days, nothing missing, in the units of the source.

    Attributes
    ----------
    name : str
        "beijing", "nyc" or the file's name without its ending.
    title : str
        For tables and pictures.
    columns : tuple of str
        Names, C of them: all are inputs.
    values : ndarray float64 (N, C)
        N is a multiple of 24. Read-only.
    target : str
        The column to forecast.
    unit : str
        Of the target.
    times : ndarray datetime64 (N,), optional
        Time of each row, by the clock that `clock` names.
    clock : str
        What the times are: local standard time, or as in the file.
    source : str
        Who made the data, and their licence.
    sha256 : str
        Of the file they were read from.
    chosen_because : str
        One line: which data, and why these.
    notes : tuple of str
        What was repaired or left out, with counts.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    values: Array
    target: str
    unit: str
    times: Array | None
    clock: str
    source: str
    sha256: str
    chosen_because: str
    notes: tuple[str, ...] = ()

    @property
    def target_index(self) -> int:
        """Return the number of the target's column."""
        return self.columns.index(self.target)

    @property
    def days(self) -> int:
        """Return the number of whole days."""
        return int(self.values.shape[0]) // ROWS_A_DAY


def load_weather(
    choice: str | os.PathLike[str] = "auto",
    target: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    decimal: str = ".",
) -> WeatherData:
    """Return hourly weather.

    Parameters
    ----------
    choice : {"auto", "nyc", "beijing"} or path
        "beijing" finds the lab's file (see `find_beijing`) or raises; "nyc" is embedded; "auto" takes Beijing where it
        can be had, else New York; a path names a CSV or Parquet file with one row an hour, oldest first.
    target : str, optional
        Column to forecast; TEMP by default.
    columns : sequence of str, optional
        Columns to use; all that hold numbers by default.
    decimal : {".", ","}
        The decimal mark of a CSV file of one's own.

    Raises
    ------
    FileMissing
        No such file.
    DataError
        No such column; text, a missing value or a missing hour; less than a day; Beijing asked for and not to be had.
    """
    if not isinstance(choice, (str, os.PathLike)):
        raise InvalidType(f"data must be auto, nyc, beijing or a path. Got {choice!r}")
    if columns is not None:
        columns = check_names("columns", columns)
    check_choice("decimal", decimal, DECIMALS)
    if choice == "nyc":
        return _nyc("as asked for", target, columns)
    if choice == "beijing":
        return _beijing(find_beijing(), target, columns)
    if choice == "auto":
        found = look_for_beijing()
        return (
            _nyc(f"because {found}", target, columns)
            if isinstance(found, str)
            else _beijing(found, target, columns)
        )
    raw = read_file(choice)
    if hashlib.sha256(raw).hexdigest() == BEIJING_SHA256:
        return _beijing(Found(raw, f"from {choice}, known by its checksum"), target, columns)
    return _own(raw, Path(choice), target, columns, decimal)


def _beijing(found: Found, target: str | None, columns: Sequence[str] | None) -> WeatherData:
    return _finish(
        beijing_table(found),
        target,
        columns,
        name="beijing",
        title="Beijing 2010-2014",
        units={"DEWP": "deg C", "TEMP": "deg C", "PRES": "hPa", "Iws": "m/s", "Is": "h", "Ir": "h"},
        clock="local time",
        chosen_because=f"the lab's Beijing data, {found.where}",
        notes=("the first 43,000 hours in whole days, as in the lab",),
    )


def _nyc(why: str, target: str | None, columns: Sequence[str] | None) -> WeatherData:
    repaired = load_nyc()
    filled = ", ".join(f"{count} of {name}" for name, count in repaired.filled.items())
    return _finish(
        repaired.table,
        target,
        columns,
        name="nyc",
        title="New York LaGuardia 2013",
        units={"DEWP": "deg C", "TEMP": "deg C", "PRES": "hPa", "HUMID": "%", "WIND": "m/s", "PRECIP": "mm"},
        clock="Eastern standard time",
        chosen_because=f"the embedded New York data, {why}",
        notes=(
            f"{repaired.hours_added} missing hours and missing values ({filled}) filled with the last ones known",
        ),
    )


def _own(
    raw: bytes, path: Path, target: str | None, columns: Sequence[str] | None, decimal: str
) -> WeatherData:
    opened = open_columns(raw, str(path), decimal=decimal)
    time = next(
        (name for name in opened.header if name.lower() in TIME_NAMES and name not in (columns or ())), None
    )
    times, notes = None, []
    if time is not None:
        try:
            times = column_times(opened, time)
        except DataError as error:
            # Where some row has a time, one that has none is a fault: a sum at the end, a line of units.
            if any(looks_like_time(entry) for entry in opened.entries_of(time)[:ROWS_A_DAY]):
                raise
            notes.append(f"rows are taken to be hourly: {error}")
    table = assemble(opened, columns, sha256=hashlib.sha256(raw).hexdigest())
    if time in table.columns:
        table = table.select([name for name in table.columns if name != time])
    left_out = [name for name in table.dropped if name != time or times is None]
    if left_out:
        notes.append(f"columns without numbers left out: {', '.join(left_out)}")
    if times is not None:
        table = regular(replace(table, times=times)).table
    return _finish(
        table,
        target,
        columns,
        name=path.name.partition(".")[0],
        title=path.name,
        units={TARGET: "deg C"},  # the lab's name for it; other columns have no known unit
        clock="as in the file",
        chosen_because=f"the file {path}, as asked for",
        notes=tuple(notes),
    )


def _finish(
    table: Table,
    target: str | None,
    columns: Sequence[str] | None,
    *,
    name: str,
    title: str,
    units: dict[str, str],
    clock: str,
    chosen_because: str,
    notes: tuple[str, ...],
) -> WeatherData:
    """Choose the columns, check that nothing is missing, and cut to whole days."""
    if columns is not None:
        table = table.select(columns)
    wanted = TARGET if target is None else target
    if wanted not in table.columns:
        raise DataError(
            f"target must be a column of numbers of {table.source}. Got {wanted!r}, and the columns "
            f"{', '.join(table.columns)}: name the one to forecast (target=, --target)"
        )
    check_complete(table)
    days = len(table) // ROWS_A_DAY
    if not days:
        raise DataError(
            f"{table.source} must have at least one day of {ROWS_A_DAY} hourly rows. Got {len(table)} rows"
        )
    table = table.rows(slice(0, days * ROWS_A_DAY))
    return WeatherData(
        name=name,
        title=title,
        columns=table.columns,
        values=table.values,
        target=wanted,
        unit=units.get(wanted, f"units of {wanted}"),
        times=table.times,
        clock=clock,
        source=table.source,
        sha256=table.sha256 or "",
        chosen_because=chosen_because,
        notes=notes,
    )
