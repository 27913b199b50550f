"""The size at which a PNG wants to be shown, read from its header."""

from __future__ import annotations

import struct

from bptt.errors import FileFormatError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_REFERENCE = 96 / 0.0254  # CSS pixels a metre


def png_size(name: str, data: object) -> tuple[int, int]:
    """Return width and height in CSS pixels: 1/96 inch by the picture's own density, else its own pixels.

    Raises
    ------
    FileFormatError
        `data` is no PNG, or is cut off.
    """
    if not isinstance(data, bytes) or data[:8] != _SIGNATURE or data[12:16] != b"IHDR" or len(data) < 45:
        raise FileFormatError(f"{name} must be the bytes of a PNG. Got {_glimpse(data)}")
    width, height = struct.unpack(">II", data[16:24])
    if not data.endswith(b"IEND\xaeB`\x82"):
        raise FileFormatError(f"{name} must be a whole PNG. Got {len(data)} bytes without its end")
    scale = _REFERENCE / (_pixels_a_metre(data) or _REFERENCE)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _pixels_a_metre(data: bytes) -> int:
    """Return the density that the pHYs chunk states, or 0. The chunk stands before the pixels."""
    place = 8
    while place + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        if kind == b"pHYs" and length == 9:
            along, _, unit = struct.unpack(">IIB", data[place + 8 : place + 17])
            return int(along) if unit == 1 else 0
        if kind == b"IDAT":
            return 0
        place += 12 + length
    return 0


def _glimpse(data: object) -> str:
    return (
        f"{len(data)} bytes that start with {data[:8]!r}" if isinstance(data, bytes) else type(data).__name__
    )
