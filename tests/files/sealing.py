"""The digest of a model file, reckoned anew from its bytes: for tests that change a file and want to be believed."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

NAMES = {"F32": "float32", "F64": "float64"}


def parts_of(raw: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return a file's header without our entry, our description, and the bytes of its arrays."""
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    description = json.loads(header.pop("__metadata__")["bptt"])
    return header, description, raw[8 + length :]


def joined(header: dict[str, Any], description: dict[str, Any], data: bytes, *, seal: bool = True) -> bytes:
    """Return the file of these parts, by default with the digest that is theirs."""
    if seal:
        description = {**description, "sha256": digest(header, description, data)}
    text = json.dumps({"__metadata__": {"bptt": json.dumps(description)}, **header}).encode()
    return struct.pack("<Q", len(text)) + text + data


def digest(header: dict[str, Any], description: dict[str, Any], data: bytes) -> str:
    """Return the digest that a file with these parts should state."""
    parts = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        found = hashlib.sha256(data[begin:end]).hexdigest()
        parts[name] = [NAMES[entry["dtype"]], entry["shape"], found]
    rest = {key: value for key, value in description.items() if key != "sha256"}
    text = json.dumps([rest, parts], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def resealed(path: Path) -> Path:
    """Give a file the digest of what is in it."""
    path.write_bytes(joined(*parts_of(path.read_bytes())))
    return path
