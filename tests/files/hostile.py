"""Model files, forecasters and checkpoints that are damaged, or were made to harm: hundreds of them, each another one.

They are made from the golden files by changing one thing. Where that is the description, the digest is made to fit: who
makes such a file can do so too.
"""

from __future__ import annotations

import copy
import json
import pickle
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.files.sealing import joined, parts_of

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "v1"
BASES = (
    "network.bptt",
    "stack_masked.bptt",
    "network_own_cell.bptt",
    "forecaster_network.bptt",
    "forecaster_ridge.bptt",
    "checkpoint.ckpt",
)
# In the place of any value of a description: other types, other sizes, names of code, what no file may hold.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, 10**30, 10**400, 0.5, -1.5, 1e308, "", "x", "a\nb", "\x1b[2J",
    "\ud800", "9" * 30, "os.system", "__import__('os').system('true')", "../../etc/passwd", [], [1], ["a"], [None],
    [[]], [[0, 1], [1]], {}, {"a": 1}, {"name": "eval"}, {"class": "subprocess.Popen", "args": ["true"]},
)  # fmt: skip
_DROPPED, _ADDED = object(), object()
_NEST = 100_000


@dataclass(frozen=True)
class Hostile:
    """A file and what must become of it.

    Attributes
    ----------
    name : str
    make : function
        Returns its bytes.
    refused : bool
        Whether every reader must refuse it; else it may be read, if it is harmless then.
    """

    name: str
    make: Callable[[], bytes]
    refused: bool


class _Evil:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> Any:
        return eval, ("__import__('os').system('true')",)


def corpus() -> Iterator[Hostile]:
    """Yield every hostile file; they are made only where they are asked for."""
    for base in BASES:
        raw = (GOLDEN / base).read_bytes()
        for name, data in (*_lengths(raw), *_cuts(raw), *_headers(raw), *_entries(raw), *_numbers(raw)):
            # What a run recorded is held against its settings where the run goes on, not where the file is read.
            refused = data != raw and not name.startswith("recorded.")
            yield Hostile(f"{base}: {name}", partial(bytes, data), refused)
        for name, data in _flips(raw):
            yield Hostile(f"{base}: {name}", partial(bytes, data), True)
        parts = parts_of(raw)
        for name, at, value in _changes(parts[1]):
            yield Hostile(f"{base}: {name}", partial(_described, parts, at, value), False)
    for name, data in _strangers():
        yield Hostile(name, partial(bytes, data), True)


def _split(raw: bytes) -> tuple[bytes, bytes]:
    length = struct.unpack("<Q", raw[:8])[0]
    return raw[8 : 8 + length], raw[8 + length :]


def _with_header(text: str | bytes, data: bytes) -> bytes:
    encoded = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(encoded)) + encoded + data


# ---------------------------------------------------------------- the container


def _lengths(raw: bytes) -> Iterator[tuple[str, bytes]]:
    length = struct.unpack("<Q", raw[:8])[0]
    for wrong in (
        0,
        1,
        2,
        length - 1,
        length + 1,
        length + 8,
        len(raw),
        2**24 + 1,
        2**31,
        2**40,
        2**63,
        2**64 - 1,
    ):
        yield f"header of {wrong} bytes", struct.pack("<Q", wrong) + raw[8:]
    yield "length in the other order", struct.pack(">Q", length) + raw[8:]


def _cuts(raw: bytes) -> Iterator[tuple[str, bytes]]:
    header, data = _split(raw)
    start = len(raw) - len(data)
    places = {0, 1, 7, 8, 9, 10, start // 2, start - 1, start, start + 1, len(raw) - 1}
    entries = json.loads(header)
    for key, entry in entries.items():
        if key != "__metadata__":
            places |= {start + at + by for at in entry["data_offsets"] for by in (-1, 0, 1)}
    for place in sorted(place for place in places if place < len(raw)):
        yield f"cut at {place}", raw[:place]
    for more in (b"\0", b"more", bytes(4096), raw):
        yield f"{len(more)} bytes more", raw + more
    yield "a byte missing within", raw[: start + 3] + raw[start + 4 :]
    yield "twice", raw + raw


def _headers(raw: bytes) -> Iterator[tuple[str, bytes]]:
    header, data = _split(raw)
    text = header.decode().rstrip()
    first = next(key for key in json.loads(text) if key != "__metadata__")
    entry = json.dumps(json.loads(text)[first])
    metadata = json.dumps(json.loads(text)["__metadata__"])
    for title, wrong in {
        "an array twice": text[:-1] + f', "{first}": {entry}}}',
        "metadata twice": text[:-1] + f', "__metadata__": {metadata}}}',
        "a dtype twice": text.replace('"dtype"', '"dtype":"F32","dtype"', 1),
        "offsets twice": text.replace('"data_offsets"', '"data_offsets":[0,8],"data_offsets"', 1),
        "an array more": text[:-1] + ', "more": {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]}}',
        "a number in the place of an array": text[:-1] + ', "more": 3}',
        "a list": f"[{text}]",
        "nothing in it": "{}",
        "NaN": text[:-1] + ', "more": NaN}',
        "Infinity": text[:-1] + ', "more": -Infinity}',
        "1e999": text[:-1] + ', "more": 1e999}',
        "5000 digits": text[:-1] + f', "more": {"9" * 5000}}}',
        "lists within lists": text[:-1] + ', "more": ' + "[" * _NEST + "]" * _NEST + "}",
        "few lists within lists": text[:-1] + ', "more": ' + "[" * 9000 + "]" * 9000 + "}",
        "mappings within mappings": text[:-1] + ', "more": ' + '{"a":' * 9000 + "1" + "}" * 9000 + "}",
        "many lists": text[:-1] + ', "more": [' + "[]," * _NEST + "[]]}",
        "single quotes": text.replace('"', "'"),
        "a comment": text[:-1] + " /* more */}",
        "a comma more": text[:-1] + ",}",
        "a name without printable characters": text.replace(f'"{first}"', '"\\u0000\\n"'),
        "an empty name": text.replace(f'"{first}"', '""'),
        "a long name": text.replace(f'"{first}"', '"' + "n" * 500 + '"'),
        "half a character": text.replace(f'"{first}"', '"\\ud800"'),
        "half a character inside": text.replace('\\"config\\"', '\\"\\ud800\\"', 1),
        "no metadata": json.dumps({k: v for k, v in json.loads(text).items() if k != "__metadata__"}),
        "metadata of somebody else": text.replace('"bptt"', '"format"', 1),
        "metadata of a list": text.replace(metadata.replace('": "', '":"'), "[1]"),
        "a BOM": "\ufeff" + text,
    }.items():
        yield title, _with_header(wrong, data)
    yield "UTF-16", _with_header(text.encode("utf-16"), data)
    yield "a byte that is no UTF-8", _with_header(header.replace(b"F64", b"F\xff4", 1), data)
    yield "nothing but brackets", _with_header("{" + "[" * 2**20, data)
    for description in (
        "",
        "{",
        "[]",
        "3",
        "null",
        '"text"',
        "{}",
        '{"a":1,"a":2}',
        '{"a":NaN}',
        "[" * 9000,
        "\0",
    ):
        made = {"__metadata__": {"bptt": description}, **parts_of(raw)[0]}
        yield f"description {description[:20]!r}", _with_header(json.dumps(made), data)
    for value in (None, 3, True, [], {}, ["{}"]):
        made = {"__metadata__": {"bptt": value}, **parts_of(raw)[0]}
        yield f"description of another type {value!r}", _with_header(json.dumps(made), data)


def _entries(raw: bytes) -> Iterator[tuple[str, bytes]]:
    header, description, data = parts_of(raw)
    names = list(header)
    size = len(data)
    changes: list[tuple[str, Any]] = [
        *(("dtype", value) for value in (
            "F16", "BF16", "I64", "I32", "U8", "BOOL", "C64", "F128", "f64", "float64", "", "O", "|O8", 64, None,
            ["F64"], {"F64": 1},
        )),
        *(("shape", value) for value in (
            None, 3, "3", {}, [-1], [2.0], [True], [None], ["3"], [[3]], [2**48], [2**63], [10**30], [2**32, 2**32],
            [0, 2**60], [1] * 40, [3, 3, 3, 3],
        )),
        *(("data_offsets", value) for value in (
            None, 0, [], [0], [0, 8, 16], [8, 0], [-8, 0], [0.0, 8.0], [False, True], ["0", "8"], [0, 2**48],
            [0, 2**64], [size, size + 8], [2**40, 2**40 + 8], [1, 9],
        )),
    ]  # fmt: skip
    for which in {names[0], names[len(names) // 2]}:
        for field, value in changes:
            made = {**header, which: {**header[which], field: value}}
            if made != header:
                yield f"{which} with {field} {value!r:.40}", joined(made, description, data, seal=False)
        for field in ("dtype", "shape", "data_offsets"):
            made = {**header, which: {k: v for k, v in header[which].items() if k != field}}
            yield f"{which} without {field}", joined(made, description, data, seal=False)
        for value in (None, 3, "F64", [], [1, 2]):
            yield f"{which} is {value!r}", joined({**header, which: value}, description, data, seal=False)
        left = {name: entry for name, entry in header.items() if name != which}
        yield f"without {which}", joined(left, description, data, seal=False)
        begin, end = header[which]["data_offsets"]
        for moved in ([begin + 4, end + 4], [begin - 8, end - 8], [begin, end + 8], [begin, end - 8]):
            made = {**header, which: {**header[which], "data_offsets": moved}}
            yield f"{which} at {moved}", joined(made, description, data, seal=False)
        other = next(name for name in names if name != which)
        made = {**header, which: {**header[which], "data_offsets": header[other]["data_offsets"]}}
        if made != header:
            yield f"{which} over {other}", joined(made, description, data, seal=False)
        # Whole by itself, and not what the configuration asks for.
        shape = header[which]["shape"]
        for turned in (shape[::-1], [*shape, 1], [1, *shape]):
            if turned != shape:
                yield (
                    f"{which} of {turned}",
                    joined({**header, which: {**header[which], "shape": turned}}, description, data),
                )
        half = {**header[which], "dtype": "F32", "shape": [*shape, 2]}
        if header[which]["dtype"] == "F64":
            yield f"{which} in halves", joined({**header, which: half}, description, data)
        renamed = {("other" if name == which else name): entry for name, entry in header.items()}
        yield f"{which} called otherwise", joined(renamed, description, data)
        yield f"{which} and another", joined(
            {**header, f"{which}.more": {"dtype": "F64", "shape": [1], "data_offsets": [size, size + 8]}},
            description, data + bytes(8),
        )  # fmt: skip
    swapped = {**header, names[0]: header[names[-1]], names[-1]: header[names[0]]}
    if header[names[0]]["shape"] != header[names[-1]]["shape"]:
        yield "two arrays exchanged", joined(swapped, description, data)


def _numbers(raw: bytes) -> Iterator[tuple[str, bytes]]:
    header, description, data = parts_of(raw)
    free = ("slots.", "carried.", "recorded.")  # may hold any number, where a run did
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        width = 4 if entry["dtype"] == "F32" else 8
        if begin == end or name.startswith(free):
            continue
        for value in ("nan", "inf", "-inf"):
            at = begin if value == "nan" else end - width
            bits = struct.pack("<f" if width == 4 else "<d", float(value))
            yield f"{value} in {name}", joined(header, description, data[:at] + bits + data[at + width :])


def _flips(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield files with one bit turned: where the header begins and ends, at its signs, at every array's ends."""
    header, data = _split(raw)
    start = len(raw) - len(data)
    places = {*range(9), start - 1 - (len(header) - len(header.rstrip())), len(raw) - 1}
    signs = [8 + at for at, byte in enumerate(header) if byte in b'{}[]:,"\\']
    places |= set(signs[:: max(1, len(signs) // 60)])
    places |= {8 + at for at in range(0, len(header.rstrip()), max(1, len(header) // 40))}
    for key, entry in json.loads(header).items():
        if key != "__metadata__" and entry["data_offsets"][0] < entry["data_offsets"][1]:
            places |= {start + entry["data_offsets"][0], start + entry["data_offsets"][1] - 1}
    for place in sorted(places):
        for bit in (0, 5):
            damaged = bytearray(raw)
            damaged[place] ^= 1 << bit
            yield f"bit {bit} of byte {place}", bytes(damaged)


# ---------------------------------------------------------------- the description


def paths_of(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value in plain JSON; of lists, to the first two entries."""
    if at:
        yield at
    if isinstance(value, dict):
        for key in value:
            yield from paths_of(value[key], (*at, key))
    elif isinstance(value, list):
        for k in range(min(len(value), 2)):
            yield from paths_of(value[k], (*at, k))


def _changes(description: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """Yield title, place and new value of every change of a description."""
    for at in paths_of(description):
        if at[0] == "sha256":
            continue
        old = _inside(description, at)
        for value in (*VALUES, _DROPPED, _ADDED):
            if (type(old) is type(value) and old == value) or (
                value is _ADDED and not isinstance(old, (dict, list))
            ):
                continue
            title = "is gone" if value is _DROPPED else "has more" if value is _ADDED else f"is {value!r:.40}"
            yield f"{'.'.join(map(str, at))} {title}", at, value


def _inside(value: Any, at: tuple[Any, ...]) -> Any:
    for key in at:
        value = value[key]
    return value


def _described(parts: tuple[dict[str, Any], dict[str, Any], bytes], at: tuple[Any, ...], value: Any) -> bytes:
    header, description, data = parts
    made = copy.deepcopy(description)
    inner, old = _inside(made, at[:-1]), _inside(made, at)
    if value is _DROPPED:
        del inner[at[-1]]
    elif value is not _ADDED:
        inner[at[-1]] = copy.deepcopy(value)
    elif isinstance(old, dict):
        old["more"] = 1
    else:
        old.append(old[-1] if old else 1)
    return joined(header, made, data)


# ---------------------------------------------------------------- other files


def _strangers() -> Iterator[tuple[str, bytes]]:
    yield "a pickle", pickle.dumps(_Evil())
    yield "a pickle of protocol 0", pickle.dumps(_Evil(), 0)
    yield "a pickle in a header", struct.pack("<Q", 60) + b"{" + pickle.dumps(_Evil()) + bytes(60)
    yield "a zip archive, as of torch.save", b"PK\x03\x04" + bytes(96) + b"archive/data.pkl"
    yield "HDF5", b"\x89HDF\r\n\x1a\n" + bytes(200)
    yield (
        "a NumPy file",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }" + bytes(80),
    )
    yield "a table", b"time,y\n1,2\n" * 40
    yield "a script", b"#!/bin/sh\ntrue\n" * 20
    yield "a script in Python", b"import os\nos.system('true')\n" * 9
    for byte in (0, 1, 9, 10, 0x7B, 0x7F, 0x80, 0xFF):
        yield f"{byte:#x} again and again", bytes([byte]) * 300
    for size in range(12):
        yield f"{size} zeros", bytes(size)
