"""The model container: named arrays and one JSON description, in a safetensors file. It knows no class.

The header is read and checked by itself before any array is: a file that lies about its sizes, or that does not fit
what it is loaded into, is refused while it costs a few kilobytes. The arrays are then read one after the other, each
straight to where it stays.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bptt.atomic import write_atomic
from bptt.checks import Array
from bptt.errors import FileFormatError, FileMissing, InvalidInput, InvalidType
from bptt.files.ordinary import check_holes, fill, open_ordinary

# What a file is called in messages.
MODEL = "model that bptt.save wrote"

# The one metadata entry of ours; its value is JSON. One, because safetensors writes several in a random order, and
# the same model should give the same bytes.
ENTRY = "bptt"

# The kind of a forecaster's file, known here so that files of networks are read without the forecaster's modules.
FORECASTER = "forecaster"

# Within it: of everything else in the file, so that a byte that was lost or turned is noticed wherever it was. It tells
# damage, not forgery: who can write a file can write its digest.
DIGEST = "sha256"

# A network of a thousand arrays has a header of 100 kB; what takes room is a mask of recurrent connections.
LARGEST_HEADER = 16 * 2**20

# Lists and dictionaries in a header, which cost most in memory beside what they cost in the file: one in so many bytes,
# where there are more than a few. An array's entry has three in sixty.
_FEW_INSIDE, _BYTES_INSIDE = 20_000, 16

# Numbers that are looked at together.
_PIECE = 2**20

# Of an array: a name stands in messages, which are one line.
_LONGEST_NAME = 400
_MOST_AXES = 32

DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("float32"), "F64": np.dtype("float64")}


@dataclass(frozen=True)
class Header:
    """What a model file says of itself.

    Attributes
    ----------
    description : dict
        Our JSON.
    arrays : dict of name to (dtype, shape)
    raw : bytes
        As it stands in the file, with its length before it.
    sha256 : str, optional
        Of description and arrays, as the file states it; files of before it was written have none.
    """

    description: dict[str, Any]
    arrays: dict[str, tuple[np.dtype[Any], tuple[int, ...]]]
    raw: bytes
    sha256: str | None = None


def write_model(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], description: Mapping[str, Any]
) -> Path:
    """Write arrays (float32 or float64) and their description of plain JSON values, whole or not at all.

    Raises
    ------
    FileMissing, InvalidInput
        The folder is missing, the file cannot be written, or the description is larger than `read_header` takes.
    InvalidType
        The description does not consist of plain JSON values.
    """
    from safetensors.numpy import save

    name = _path(path)
    packed = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    try:
        parts = {key: _part(array) for key, array in packed.items()}
        text = _text({**description, DIGEST: _digest(description, parts)})
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidType(
            f"description of a model must hold plain JSON values, finite numbers among them. Got: {error}"
        ) from None
    data = save(packed, {ENTRY: text})
    (length,) = struct.unpack("<Q", data[:8])
    if length > LARGEST_HEADER:
        raise InvalidInput(
            f"description of a model must take at most {LARGEST_HEADER} bytes. Got {length}: "
            "a mask of fewer units, or less in extra"
        )
    write_atomic(name, data)
    return Path(name)


def read_header(path: str | os.PathLike[str], what: str = MODEL) -> Header:
    """Read and check everything but the arrays.

    Parameters
    ----------
    path : str or path
    what : str
        What the file should be, for the messages: "model that bptt.save wrote".

    Raises
    ------
    FileMissing
        No such file.
    FileFormatError
        Not a file of ours, or a damaged one; the message says in what way.
    """
    name = _path(path)
    raw, size = _raw_header(name, what)
    entries = _json(name, bytes(memoryview(raw)[8:]))
    metadata = entries.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(ENTRY), str):
        raise FileFormatError(f"{name} must be a {what}. Got a safetensors file of something else")
    description = _json(name, metadata[ENTRY])
    is_stated, stated = DIGEST in description, description.pop(DIGEST, None)
    if is_stated and not (isinstance(stated, str) and len(stated) == 64):
        raise FileFormatError(f"{name}: {DIGEST} must be text of 64 digits. Got {stated!r:.40}")
    odd = next((key for key in entries if len(key) > _LONGEST_NAME or not key.isprintable()), None)
    if odd is not None:
        raise FileFormatError(
            f"{name}: names of arrays must be printable, of at most {_LONGEST_NAME} characters. Got {odd!r:.60}"
        )
    arrays = {key: _array(name, key, entry) for key, entry in entries.items()}
    # In the order of their bytes, which is the one they are read in.
    order = sorted(entries, key=lambda key: entries[key]["data_offsets"])
    arrays = {key: arrays[key] for key in order}
    _check_places(name, entries, arrays, size - len(raw))
    return Header(description, arrays, raw, stated)


def read_arrays(
    path: str | os.PathLike[str], header: Header, *, may_be_infinite: tuple[str, ...] = ()
) -> dict[str, Array]:
    """Read the arrays of a file whose header was checked; every number must be finite.

    Parameters
    ----------
    path : str or path
    header : Header
        From `read_header`.
    may_be_infinite : tuple of str
        Beginnings of names whose arrays may hold any number.

    Raises
    ------
    FileFormatError
        A number that is not finite, a digest that is not that of the file, or a file that changed meanwhile.
    """
    name = _path(path)
    found: dict[str, Array] = {}
    parts: dict[str, list[Any]] = {}
    try:
        with open_ordinary(name) as file:
            check_holes(name, file.fileno())
            if file.read(len(header.raw)) != header.raw:
                raise FileFormatError(f"{name} must not change while it is read. Got another header")
            for key, (dtype, shape) in header.arrays.items():
                array = np.empty(shape, dtype)
                fill(name, file, array)
                if sys.byteorder == "big":
                    array.byteswap(inplace=True)
                if header.sha256 is not None:
                    parts[key] = _part(array)
                if not key.startswith(may_be_infinite):
                    _check_finite(name, key, array)
                found[key] = array
    except MemoryError:
        size = sum(math.prod(shape) * dtype.itemsize for dtype, shape in header.arrays.values())
        raise FileFormatError(
            f"{name} must fit into memory. Got arrays of {size / 2**30:.3g} GiB: read it on a larger machine"
        ) from None
    except OSError as error:
        raise FileFormatError(f"{name} must be readable. Got: {error.strerror}") from None
    if header.sha256 is not None and header.sha256 != _digest(header.description, parts):
        raise FileFormatError(
            f"{name} must have the {DIGEST} that it states. Got another: the file is damaged"
        )
    return found


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))


def _part(array: Array) -> list[Any]:
    """Return what stands for an array in the digest of a file."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    bytes_ = little.reshape(-1).view(np.uint8).data if array.size else b""
    return [array.dtype.name, list(array.shape), hashlib.sha256(bytes_).hexdigest()]


def _digest(description: Mapping[str, Any], parts: Mapping[str, list[Any]]) -> str:
    return hashlib.sha256(_text([description, parts]).encode()).hexdigest()


def _check_finite(name: str, key: str, array: Array) -> None:
    """Raise where a number is not finite, looking at a piece at a time."""
    flat = array.reshape(-1)
    for first in range(0, flat.size, _PIECE):
        wrong = ~np.isfinite(flat[first : first + _PIECE])
        if wrong.any():
            place = np.unravel_index(first + int(wrong.argmax()), array.shape)
            raise FileFormatError(
                f"{name}: every number of {key} must be finite. Got {array[place]} at {[int(k) for k in place]}"
            )


def _path(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidType(f"path must be text or a path. Got {path!r}")
    return os.fsdecode(path)


def _raw_header(name: str, what: str) -> tuple[bytes, int]:
    """Return the header with its length before it, and the size of the file."""
    try:
        with open_ordinary(name) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(9)
            if len(start) < 9 or start[8:] != b"{":
                raise FileFormatError(f"{name} must be a {what}. Got no safetensors file")
            (length,) = struct.unpack("<Q", start[:8])
            if length > LARGEST_HEADER:
                raise FileFormatError(
                    f"{name} must have a header of at most {LARGEST_HEADER} bytes. Got {length}"
                )
            if length > size - 8:
                raise FileFormatError(
                    f"{name} must have a header of {length} bytes. Got {size - 8}: was the file cut off?"
                )
            return start + file.read(length - 1), size
    except FileNotFoundError:
        raise FileMissing(f"{what.split()[0]} file must exist. Got {name}") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        if isinstance(error, FileFormatError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise FileFormatError(f"{name} must be readable. Got: {reason}") from None


def _json(name: str, source: bytes | str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise FileFormatError(
                    f"{name}: each name in the header must stand once. Got {key!r:.60} twice"
                )
            found[key] = value
        return found

    def no_constant(constant: str) -> Any:
        raise FileFormatError(f"{name}: numbers in the header must be finite. Got {constant}")

    def finite(number: str) -> float:
        value = float(number)
        # 1e999: no writer of ours leaves it, and it could not be written again.
        if not math.isfinite(value):
            no_constant(f"{number:.40}")
        return value

    try:
        text = source if isinstance(source, str) else source.decode()
        inside = text.count("[") + text.count("{")
        if inside > max(_FEW_INSIDE, len(text) // _BYTES_INSIDE):
            raise FileFormatError(
                f"{name} must have a header of names and values. Got {inside} lists in {len(text)} characters"
            )
        value = json.loads(text, object_pairs_hook=once, parse_constant=no_constant, parse_float=finite)
        if "\\ud" in text or "\\uD" in text:
            # Half a character can be written nowhere, not even in a message.
            json.dumps(value, ensure_ascii=False).encode()
    except FileFormatError:
        raise
    except (ValueError, RecursionError):
        raise FileFormatError(
            f"{name} must have a header in JSON. Got something else: is it damaged?"
        ) from None
    if not isinstance(value, dict):
        raise FileFormatError(f"{name} must have a header of names and values. Got a {type(value).__name__}")
    return value


def _array(name: str, key: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    fields = entry if isinstance(entry, dict) else {}
    dtype = DTYPES.get(str(fields.get("dtype")))
    if dtype is None:
        raise FileFormatError(f"{name}: {key} must be of dtype F32 or F64. Got {fields.get('dtype')!r:.40}")
    for title, axes in (("shape", None), ("data_offsets", 2)):
        numbers = fields.get(title)
        if (
            not isinstance(numbers, list)
            or not (axes or 0) <= len(numbers) <= (axes or _MOST_AXES)
            or not all(type(n) is int and 0 <= n < 2**48 for n in numbers)
            or (axes is None and math.prod(numbers) >= 2**48)
        ):
            raise FileFormatError(f"{name}: {title} of {key} must be whole numbers. Got {numbers!r:.60}")
    return dtype, tuple(fields["shape"])


def _check_places(
    name: str, entries: dict[str, Any], arrays: dict[str, tuple[np.dtype[Any], tuple[int, ...]]], room: int
) -> None:
    """Arrays must fill the rest of the file: no hole, no overlap, no byte missing."""
    place = 0
    for key, (dtype, shape) in arrays.items():
        end, found = place + math.prod(shape) * dtype.itemsize, entries[key]["data_offsets"]
        if found != [place, end]:
            raise FileFormatError(
                f"{name}: {key} must take bytes {place} to {end}. Got {found}: the file is damaged"
            )
        place = end
    if place != room:
        remedy = "was the file cut off?" if room < place else "something follows the model"
        raise FileFormatError(f"{name} must hold {place} bytes of arrays. Got {room}: {remedy}")
