"""Columns of data frames, Parquet files, dicts and structured arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.data.parsing import Array
from bptt.errors import DataError, FileFormatError, InvalidType

# float64 numbers or datetime64 times, ready as they are; else one Python object an entry
Entries = Array | Sequence[Any]


@dataclass(frozen=True, eq=False)
class Columns:
    """What every source comes down to: names, entries, and the words for the place of a row.

    `typed` sources know numbers from text, so text in them is never read as a number.
    """

    name: str
    header: tuple[str, ...]
    entries: list[Entries]
    place: Callable[[int], str]
    typed: bool = False


def row_place(row: int) -> str:
    """Return the words for a row of something that has no lines."""
    return f"row {row + 1}"


def from_mapping(columns: Mapping[Any, Any]) -> Columns:
    """Take 1-D columns from a dict, all of one length."""
    header = tuple(str(name) for name in columns)
    entries = [_column(name, column) for name, column in zip(header, columns.values(), strict=True)]
    lengths = {name: len(column) for name, column in zip(header, entries, strict=True)}
    if not lengths or not all(lengths.values()):
        raise DataError(f"source must have at least one column and one row. Got {lengths or 'no column'}")
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise DataError(f"source must have columns of one length. Got {told}")
    return Columns("table", header, entries, row_place, typed=True)


def from_frame(frame: Any) -> Columns:
    """Take the columns of any eager data frame that narwhals knows."""
    import narwhals as nw

    try:
        known = nw.from_native(frame, eager_only=True)
    except TypeError:
        if hasattr(frame, "collect"):
            raise InvalidType(
                "source must be an eager data frame. Got a lazy one: call .collect() first"
            ) from None
        raise InvalidType(
            f"source must be a path, a data frame, a dict of columns or a structured array. Got {type(frame).__name__}"
        ) from None
    if not len(known) or not known.columns:
        raise DataError(
            f"source must have at least one column and one row. Got a frame of shape {known.shape}"
        )
    header = tuple(str(name) for name in known.columns)
    entries = [_series(known[name]) for name in known.columns]
    return Columns("frame", header, entries, row_place, typed=True)


def from_parquet(raw: bytes, name: str) -> Columns:
    """Take the columns of a Parquet file."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError(
            f"{name} is a Parquet file, which must be read by pyarrow. Got no pyarrow: pip install 'bptt[parquet]'"
        ) from None
    try:
        frame = pyarrow.parquet.read_table(pyarrow.BufferReader(raw))
    except pyarrow.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise FileFormatError(f"{name} must be a whole Parquet file. Got: {reason}") from None
    found = from_frame(frame)
    return Columns(name, found.header, found.entries, row_place, typed=True)


def _series(series: Any) -> Entries:
    import narwhals as nw

    dtype = series.dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        return np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    if dtype == nw.Date:
        return np.array(series.cast(nw.Datetime("us")).to_numpy(), dtype="datetime64[us]")
    if dtype == nw.Datetime:
        if dtype.time_zone is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return np.array(series.to_numpy(), dtype="datetime64[us]")
    return list(series.to_list())


def _column(name: str, column: Any) -> Entries:
    array = np.ma.asarray(column) if isinstance(column, np.ma.MaskedArray) else np.asarray(column)
    if array.ndim != 1:
        raise DataError(f"column {name!r} must be 1-D. Got shape {array.shape}")
    if array.dtype.kind in "fiub":
        numbers = array.astype(np.float64)
        return np.asarray(numbers.filled(np.nan) if isinstance(numbers, np.ma.MaskedArray) else numbers)
    if array.dtype.kind == "M":
        return np.asarray(array)
    return list(array.tolist())
