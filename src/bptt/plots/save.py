"""Pictures as PNG: bytes for a report, files written whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bptt.atomic import write_atomic
from bptt.errors import InvalidInput, InvalidType

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 144  # 1.5 dots for each of a screen's 96 reference pixels an inch


def png_bytes(picture: Axes | Figure) -> bytes:
    """Return the figure, or the figure of the axes, as a PNG of 144 dots an inch.

    The same picture gives the same bytes on the same version of matplotlib: no date, no software tag.
    """
    figure = getattr(picture, "figure", None)
    if figure is None or not hasattr(figure, "savefig"):
        raise InvalidType(f"picture must be a matplotlib Axes or Figure. Got {type(picture).__name__}")
    memory = io.BytesIO()
    figure.savefig(
        memory, format="png", dpi=DPI, facecolor=figure.get_facecolor(), metadata={"Software": None}
    )
    return memory.getvalue()


def save_png(picture: Axes | Figure, path: str | os.PathLike[str]) -> Path:
    """Write the picture to `path` atomically and return the path.

    Raises
    ------
    FileMissing, InvalidInput
        As `write_atomic`; or the name does not end in .png.
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise InvalidInput(
            f"path must end in .png. Got {os.fspath(path)!r}: pictures are written as PNG only"
        )
    write_atomic(target, png_bytes(picture))
    return target
