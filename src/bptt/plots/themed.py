"""One picture in all its looks: both themes, both sizes, as PNG. Themes of one size share their layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bptt.plots.save import png_bytes
from bptt.plots.style import SIZES, THEMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def themed_pngs(draw: Callable[..., Axes | Figure]) -> dict[tuple[str, str], bytes]:
    """Draw in every theme and size.

    Parameters
    ----------
    draw : callable
        Takes `theme` ("light", "dark") and `size` ("wide", "narrow"), returns axes or a figure.

    Returns
    -------
    dict of (theme, size) to bytes
        PNGs, as `png_bytes` gives them.

    Notes
    -----
    Where everything goes takes longer than drawing it: every label is set to learn its size. Themes differ in colours
    alone, so the second one of a size takes over the places of the first.
    """
    drawn: dict[tuple[str, str], bytes] = {}
    for size in SIZES:
        first: Figure | None = None
        for theme in THEMES:
            figure = _figure(draw(theme=theme, size=size))
            if first is None:
                first = figure
            else:
                take_places(figure, first)
            drawn[theme, size] = png_bytes(figure)
    return drawn


def take_places(figure: Figure, of: Figure) -> None:
    """Put axes and texts where those of another figure, which has been drawn, are; nothing if it is another picture."""
    alike = (
        len(figure.axes) == len(of.axes)
        and [text.get_text() for text in figure.texts] == [text.get_text() for text in of.texts]
        and tuple(figure.get_size_inches()) == tuple(of.get_size_inches())
    )
    if not alike or figure.get_layout_engine() is None:
        return
    figure.set_layout_engine("none")
    for here, there in zip(figure.axes, of.axes, strict=True):
        here.set_position(there.get_position(original=True))
        here.set_anchor(there.get_anchor())
        here.set_box_aspect(there.get_box_aspect())
    for text, placed in zip(figure.texts, of.texts, strict=True):
        text.set_position(placed.get_position())


def _figure(picture: Any) -> Any:
    return getattr(picture, "figure", picture)
