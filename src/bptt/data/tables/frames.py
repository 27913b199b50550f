"""Columns of data frames, Parquet files, dicts and structured arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bptt.cached import cached_property
from bptt.data.tables.parsing import Array
from bptt.data.tables.table import find_column
from bptt.errors import DataError, FileFormatError, InvalidType

# From here on not every whole number is a float64.
_EXACT = 2.0**53
# float64 numbers or datetime64 times, ready as they are; else one Python object an entry
Entries = Array | Sequence[Any]


@dataclass(frozen=True, eq=False)
class Columns:
    """What every source comes down to: names, entries, and the words for the place of a row.

    `typed` sources know numbers from text, so text in them is never read as a number. `zones` names the time zone of
    each column of times that has one; its entries are in UTC. `kind` is the frame's library, `decimal` the mark that
    numbers in text have.
    """

    name: str
    header: tuple[str, ...]
    entries: list[Entries]
    place: Callable[[int], str]
    typed: bool = False
    zones: Mapping[str, str] = field(default_factory=dict)
    kind: str = "csv"
    decimal: str = "."

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each column is, the first of a name."""
        return {name: len(self.header) - 1 - k for k, name in enumerate(reversed(self.header))}

    def entries_of(self, name: str) -> Entries:
        """Return a column's entries, or raise with the columns there are."""
        place = self.places.get(name)
        return self.entries[find_column(name, self.header, self.name) if place is None else place]

    def without(self, names: Sequence[str]) -> Columns:
        """Return the columns that are left, or raise where there is none of a name."""
        gone = {find_column(name, self.header, self.name) for name in names}
        kept = [place for place in range(len(self.header)) if place not in gone]
        return replace(
            self,
            header=tuple(self.header[place] for place in kept),
            entries=[self.entries[place] for place in kept],
        )


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
    return Columns("table", header, entries, row_place, typed=True, kind="dict")


def from_frame(frame: Any) -> Columns:
    """Take the columns of any eager data frame that narwhals knows."""
    import narwhals as nw

    try:
        known = nw.from_native(frame, eager_only=True)
    except nw.exceptions.DuplicateError as error:
        told = str(error).replace("\n", " ")
        raise DataError(f"source must name each column once. Got: {told}") from None
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
    zones = {str(name): zone for name in known.columns if (zone := _zone_of(known[name])) is not None}
    kind = known.implementation.name.lower()
    return Columns("frame", header, entries, row_place, typed=True, zones=zones, kind=kind)


def with_index(frame: Any) -> Any:
    """Return a pandas series, or a pandas frame with times or names in its index, as a frame with all of it in columns.

    Anything else comes back as it is. (narwhals leaves the index aside.)
    """
    if type(frame).__module__.partition(".")[0] != "pandas" or not hasattr(frame, "index"):
        return frame
    if hasattr(frame, "to_frame"):
        frame = frame.to_frame("y" if frame.name is None else str(frame.name))
    index = frame.index
    if hasattr(index, "to_timestamp"):
        frame = frame.set_axis(index.to_timestamp())
        index = frame.index
    plain = getattr(index, "nlevels", 1) == 1 and index.name is None and index.dtype.kind != "M"
    if plain:
        return frame
    names = [name if name is not None else f"index {k + 1}" for k, name in enumerate(index.names)]
    if len(names) == 1 and index.names[0] is None:
        names = ["time"]
    return frame.rename_axis(names).reset_index()


def make_frame(kind: str, columns: Mapping[str, Any], zones: Mapping[str, str]) -> Any:
    """Return a frame of the library `kind`; columns of times in UTC named by `zones` show these zones' clocks."""
    import narwhals as nw

    made = {
        name: values.astype("datetime64[us]") if getattr(values, "dtype", None) == "datetime64[s]" else values
        for name, values in columns.items()
    }
    library: Any = kind
    frame = nw.from_dict(made, backend=library)
    shown = [
        nw.col(name).dt.replace_time_zone("UTC").dt.convert_time_zone(zone) for name, zone in zones.items()
    ]
    return (frame.with_columns(*shown) if shown else frame).to_native()


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
    except (pyarrow.ArrowException, OSError, MemoryError) as error:  # OSError: a footer that is none
        reason = str(error).partition("\n")[0]
        raise FileFormatError(f"{name} must be a whole Parquet file. Got: {reason}") from None
    found = from_frame(frame)
    return replace(found, name=name, kind="parquet")


def _zone_of(series: Any) -> str | None:
    """Return the time zone of a column of times, if it is one and has one."""
    zone = getattr(series.dtype, "time_zone", None)
    if zone is None:
        # Names with an underscore (America/New_York) were seen to hide a pandas column's type from narwhals.
        zone = getattr(getattr(series.to_native(), "dtype", None), "tz", None)
    return None if zone is None else str(zone)


def _series(series: Any) -> Entries:
    import narwhals as nw

    dtype = series.dtype
    native = series.to_native()
    if dtype == nw.Unknown and getattr(getattr(native, "dtype", None), "tz", None) is not None:
        return np.array(native.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), dtype="datetime64[us]")
    if dtype.is_numeric() or dtype == nw.Boolean:
        found = np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
        if dtype.is_integer() and bool((np.abs(found) >= _EXACT).any()):
            return list(series.to_list())  # looked at one by one: not every one of them is a float64
        return found
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
    if array.dtype.kind in "iu" and bool((np.abs(array.astype(np.float64)) >= _EXACT).any()):
        return list(array.tolist())
    if array.dtype.kind in "fiub":
        numbers = array.astype(np.float64)
        return np.asarray(numbers.filled(np.nan) if isinstance(numbers, np.ma.MaskedArray) else numbers)
    if array.dtype.kind == "M":
        return np.asarray(array)
    return list(array.tolist())
