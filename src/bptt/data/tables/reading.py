"""Reading tables: from CSV, Parquet, any data frame, a dict of columns or a structured array."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bptt.checks import check_choice
from bptt.data.tables import parsing
from bptt.data.tables.csv_file import LARGEST, read_csv
from bptt.data.tables.frames import Columns, Entries, from_frame, from_mapping, from_parquet
from bptt.data.tables.parsing import Array
from bptt.data.tables.table import Table, check_names
from bptt.data.tables.times import read_moments
from bptt.errors import DataError, FileMissing, InvalidType

PARQUET_MAGIC = b"PAR1"
_PIECE = 1 << 24
# Of what comes through a pipe, which may have no end and cannot be asked for its size.
LARGEST_PIPED = 1 << 28


def read_table(
    source: object, *, columns: Sequence[str] | None = None, time: str | None = None, decimal: str = "."
) -> Table:
    """Read named columns of numbers.

    Parameters
    ----------
    source : path, data frame, dict or structured array
        A CSV file (comma, semicolon or tab; UTF-8; plain or gzipped), a Parquet file (needs ``bptt[parquet]``), an
        eager data frame that narwhals knows (pandas, polars, pyarrow and others), a dict of 1-D columns, or a
        structured NumPy array.
    columns : sequence of str, optional
        Columns to read, in this order. By default all that hold numbers; the others are listed in ``Table.dropped``.
    time : str, optional
        Column with the times of the rows (ISO 8601 text, or a column of dates or times).
    decimal : {".", ","}
        The decimal mark of a CSV file.

    Returns
    -------
    Table
        Numbers as float64, missing ones (empty, NA, NaN, null) as NaN.

    Raises
    ------
    FileMissing
        No such file.
    FileFormatError
        Not CSV or Parquet.
    DataError
        No such column; text in a column of numbers, named by line and column; a row of another length than the
        header; a header that names a column twice or is not there.
    """
    wanted = None if columns is None else check_names("columns", columns)
    check_choice("decimal", decimal, parsing.DECIMALS)
    if isinstance(source, (str, os.PathLike)):
        raw = read_file(source)
        opened = open_columns(raw, str(source), decimal=decimal)
        return assemble(opened, wanted, time, hashlib.sha256(raw).hexdigest())
    if isinstance(source, Mapping):
        return assemble(from_mapping(source), wanted, time)
    if isinstance(source, np.ndarray):
        if source.dtype.names is None:
            raise InvalidType(
                f"source must have column names. Got a plain array of shape {source.shape}: pass a dict of columns, "
                "{'name': column, ...}"
            )
        return assemble(from_mapping({name: source[name] for name in source.dtype.names}), wanted, time)
    return assemble(from_frame(source), wanted, time)


def open_columns(raw: bytes, name: str, *, decimal: str = ".") -> Columns:
    """Split the bytes of a CSV or Parquet file into columns; `name` stands for the file in messages."""
    if raw[:4] == PARQUET_MAGIC:
        return from_parquet(raw, name)
    file = read_csv(raw, name, decimal=decimal)
    return Columns(file.name, file.header, list(file.columns), file.place, decimal=decimal)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file, or raise what is wrong with it in one line."""
    place = Path(path)
    if place.is_dir():
        raise FileMissing(f"path must name a file. Got the folder {place}")
    try:
        status = place.stat()
        if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            raise DataError(f"path must name a file. Got the device {place}, which has no end")
        is_file = stat.S_ISREG(status.st_mode)
        if is_file:
            raw = place.read_bytes() if status.st_size <= LARGEST else None
        else:
            raw = _read_pipe(place)
    except FileNotFoundError:
        raise FileMissing(f"path must name a file that exists. Got {place}") from None
    except (OSError, ValueError, MemoryError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "strerror", None) or str(error) or "not enough memory"
        raise DataError(f"{place} must be readable. Got: {reason}") from None
    if raw is None and not is_file:
        raise DataError(
            f"{place} must bring at most {LARGEST_PIPED >> 20} MiB, being a pipe. Got more: write it to a file first"
        )
    if raw is None:
        raise DataError(
            f"{place} must have at most {LARGEST >> 30} GiB. Got more: cut it into parts, or pass a data frame"
        )
    return raw


def _read_pipe(place: Path) -> bytes | None:
    """Read what may never end, up to the most that may come this way."""
    pieces: list[bytes] = []
    room = LARGEST_PIPED
    with place.open("rb") as file:
        while piece := file.read(_PIECE):
            room -= len(piece)
            if room < 0:
                return None
            pieces.append(piece)
    return b"".join(pieces)


def assemble(
    found: Columns, columns: Sequence[str] | None = None, time: str | None = None, sha256: str | None = None
) -> Table:
    """Turn the columns asked for into numbers: the second half of `read_table`."""
    moments = None if time is None else column_times(found, time)
    names: list[str] = []
    arrays: list[Array] = []
    dropped: list[str] = []
    chosen = columns if columns is not None else [name for name in found.header if name != time]
    for name in chosen:
        if not name:  # without a name it cannot be asked for; most often it is a saved row index
            dropped.append("(unnamed)")
            continue
        entries = found.entries_of(name)
        read = _numbers(entries, found)
        if isinstance(read, int):
            if columns is None and _is_text(entries, found):
                # A column of numbers with decimal commas is not one of words.
                dressed = None
                if not found.typed:
                    dressed = parsing.dressed_number(list(entries), decimal=found.decimal)
                if dressed is None:
                    dropped.append(name)
                    continue
                read = dressed
            place = f"{found.name}, {found.place(read)}, column {name!r}"
            raise parsing.not_a_number(entries[read], place, decimal=found.decimal)
        names.append(name)
        arrays.append(read)
    if not arrays:
        raise DataError(
            f"{found.name} must have a column of numbers. Got only {', '.join(map(repr, dropped))}"
        )
    return Table(tuple(names), np.column_stack(arrays), moments, found.name, sha256, tuple(dropped))


def column_times(found: Columns, column: str) -> Array:
    """Return a column as datetime64[s] (N,), or raise at the first entry that is not a time."""
    entries = found.entries_of(column)
    if not isinstance(entries, np.ndarray):
        return read_moments(entries, file=found.name, column=column, place=found.place).utc
    if entries.dtype.kind != "M":
        raise DataError(
            f"{found.name}, column {column!r} must hold times (ISO 8601 text, dates or times). Got numbers: "
            "turn them into times first"
        )
    missing = np.flatnonzero(np.isnat(entries))
    if missing.size:
        raise DataError(
            f"{found.name}, {found.place(int(missing[0]))}, column {column!r} must hold a time. Got none"
        )
    moments = entries.astype("datetime64[s]")
    broken = np.flatnonzero(moments != entries)
    if broken.size:
        row = int(broken[0])
        raise DataError(
            f"{found.name}, {found.place(row)}, column {column!r} must hold whole seconds. Got {entries[row]}: "
            "round the times"
        )
    return moments


def _numbers(entries: Entries, found: Columns) -> Array | int:
    if not isinstance(entries, np.ndarray):
        return parsing.numbers(entries, typed=found.typed, decimal=found.decimal)
    return 0 if entries.dtype.kind == "M" else entries


def _is_text(entries: Entries, found: Columns) -> bool:
    return isinstance(entries, np.ndarray) or parsing.mostly_text(
        entries, typed=found.typed, decimal=found.decimal
    )
