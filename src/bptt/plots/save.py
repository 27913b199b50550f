"""Pictures as PNG: bytes for a report, files written whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bptt.atomic import write_atomic
from bptt.errors import InvalidInput, InvalidType

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 144  # 1.5 dots for each of a screen's 96 reference pixels an inch
# Of zlib, 1 to 9: 6 takes a third longer for 1 % less. That no picture of ours lets its ground through saves 10 %.
EFFORT = 4


def png_bytes(picture: Axes | Figure) -> bytes:
    """Return the figure, or the figure of the axes, as a PNG of 144 dots an inch.

    The same picture gives the same bytes on the same version of matplotlib: no date, no software tag.
    """
    figure = getattr(picture, "figure", None)
    if figure is None or not hasattr(figure, "savefig"):
        raise InvalidType(f"picture must be a matplotlib Axes or Figure. Got {type(picture).__name__}")
    memory = io.BytesIO()
    if not _draw_once(figure, memory):
        figure.savefig(
            memory, format="png", dpi=DPI, facecolor=figure.get_facecolor(), metadata={"Software": None}
        )
    return memory.getvalue()


def _draw_once(figure: Figure, memory: io.BytesIO) -> bool:
    """Write one of our own figures; return whether it was one.

    `savefig` draws a figure that has a layout twice, the first time only for its layout, which drawing begins with
    anyway. Of somebody's own figure nothing is known of its canvas.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image  # what matplotlib itself writes PNGs with

    canvas, dpi = figure.canvas, figure.dpi
    # Settings of somebody's own may ask for a picture cut to its contents, or a transparent one.
    plain = mpl.rcParams["savefig.bbox"] in (None, "standard") and not mpl.rcParams["savefig.transparent"]
    if type(canvas) is not FigureCanvasAgg or not plain:
        return False
    try:
        figure.dpi = DPI
        canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib's canvas has no types
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]  # nor has this
    finally:
        figure.dpi = dpi
    opaque = bool(pixels[..., 3].min() == 255)
    Image.fromarray(pixels[..., :3].copy() if opaque else pixels).save(
        memory, format="png", dpi=(DPI, DPI), compress_level=EFFORT
    )
    return True


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
