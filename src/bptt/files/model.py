"""The model container: named arrays and one JSON string, in a safetensors file. It knows no class.

The header is read and checked by itself before any array is: a file that lies about its sizes, or that does not fit
what it is loaded into, is refused while it costs a few kilobytes. The arrays are read by the safetensors library.
"""

from __future__ import annotations

import json
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.errors import FileFormatError, FileMissing
from bptt.files.atomic import write_atomic

# The one metadata entry of ours; its value is JSON.
ENTRY = "bptt"

# A network of a thousand arrays has a header of 100 kB.
LARGEST_HEADER = 4 * 2**20

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("float32"), "F64": np.dtype("float64")}


@dataclass(frozen=True)
class Header:
    """What a model file says of itself.

    Attributes
    ----------
    description : dict
        Our JSON.
    arrays : dict of name to (dtype, shape)
    """

    description: dict[str, Any]
    arrays: dict[str, tuple[np.dtype[Any], tuple[int, ...]]]


def write_model(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], description: Mapping[str, Any]
) -> Path:
    """Write arrays (float32 or float64) and their description, whole or not at all."""
    from safetensors.numpy import save

    packed = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomic(path, save(packed, {ENTRY: json.dumps(description, sort_keys=True)}))
    return Path(path)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read and check everything but the arrays.

    Raises
    ------
    FileMissing
        No such file.
    FileFormatError
        Not a model file of ours, or a damaged one; the message says in what way.
    """
    raw, size = _raw_header(path)
    entries = _json(path, raw)
    metadata = entries.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(ENTRY), str):
        raise FileFormatError(
            f"{path} must be a model that bptt.save wrote. Got a safetensors file of something else"
        )
    description = _json(path, metadata[ENTRY].encode())
    arrays = {name: _array(path, name, entry) for name, entry in entries.items()}
    _check_places(path, entries, arrays, size - 8 - len(raw))
    return Header(description, arrays)


def read_arrays(path: str | os.PathLike[str], header: Header) -> dict[str, Array]:
    """Read the arrays of a file whose header was checked; every number must be finite.

    Raises
    ------
    FileFormatError
        A number that is not finite, or a file that changed meanwhile.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(path)
    except (SafetensorError, OSError) as error:
        raise FileFormatError(f"{path} must be readable as safetensors. Got: {error}") from None
    for name, (dtype, shape) in header.arrays.items():
        array = found.get(name)
        if array is None or array.dtype != dtype or array.shape != shape:
            raise FileFormatError(f"{path} must not change while it is read. Got another {name}")
        if not np.isfinite(array).all():
            raise FileFormatError(f"{path}: every number of {name} must be finite. Got NaN or infinity")
    return found


def _raw_header(path: str | os.PathLike[str]) -> tuple[bytes, int]:
    try:
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise FileFormatError(f"{path} must be an ordinary file. Got a device or a pipe")
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(LARGEST_HEADER, status.st_size - 8):
                raise FileFormatError(f"{path} must be a safetensors model. Got a file without its header")
            return file.read(length), status.st_size
    except FileNotFoundError:
        raise FileMissing(f"model file must exist. Got {path}") from None
    except OSError as error:
        raise FileFormatError(f"{path} must be readable. Got: {error.strerror}") from None


def _json(path: str | os.PathLike[str], raw: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise FileFormatError(f"{path}: each name in the header must stand once. Got one twice")
        return found

    def no_constant(name: str) -> Any:
        raise FileFormatError(f"{path}: numbers in the header must be finite. Got {name}")

    try:
        value = json.loads(raw.decode(), object_pairs_hook=once, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"{path} must have a header in JSON. Got something else: is it damaged?"
        ) from None
    if not isinstance(value, dict):
        raise FileFormatError(f"{path} must have a header of names and values. Got a {type(value).__name__}")
    return value


def _array(path: str | os.PathLike[str], name: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    fields = entry if isinstance(entry, dict) else {}
    dtype = _DTYPES.get(str(fields.get("dtype")))
    if dtype is None:
        raise FileFormatError(f"{path}: {name} must be of float32 or float64. Got {fields.get('dtype')!r}")
    for title in ("shape", "data_offsets"):
        numbers = fields.get(title)
        if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < 2**48 for n in numbers):
            raise FileFormatError(f"{path}: {title} of {name} must be whole numbers. Got {numbers!r}")
    return dtype, tuple(int(n) for n in fields["shape"])


def _check_places(
    path: str | os.PathLike[str], entries: dict[str, Any], arrays: dict[str, Any], room: int
) -> None:
    """Arrays must fill the rest of the file: no hole, no overlap, no byte missing."""
    place = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape = arrays[name]
        count = 1
        for n in shape:
            count *= n
        if entry["data_offsets"] != [place, place + count * dtype.itemsize]:
            raise FileFormatError(
                f"{path}: {name} must take bytes {place} to {place + count * dtype.itemsize}. "
                f"Got {entry['data_offsets']}: the file is damaged"
            )
        place += count * dtype.itemsize
    if place != room:
        raise FileFormatError(f"{path} must hold {place} bytes of arrays. Got {room}: was it cut off?")
