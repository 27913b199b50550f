"""Many curves in small panels of one scale: a grid of experiments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.records import check_series
from bptt.plots.style import LINE_STYLES, Look, dress, look_named, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
# (row, column) -> (colour's name, line style's name) -> series
Panels = Mapping[tuple[str, str], Mapping[tuple[str, str], Array]]

_TALL = {"wide": 2.15, "narrow": 1.9}  # inches a row
_ALONE = 2.7


def panels(
    curves: Panels,
    *,
    x_label: str = "epoch",
    y_label: str = "loss",
    log: bool = True,
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
) -> Figure:
    """Draw a grid of panels that share both axes, each with its curves.

    Parameters
    ----------
    curves : mapping of (row, column) to mapping of (colour, style) to ndarray (N,)
        Names of the panel's row and column, and what a curve's colour and its line style stand for; may be empty.
        Values belong to 1, 2, ... on the x axis; one that is not finite leaves a gap. Curves may differ in length.
        Where narrow, rows and columns change places if that makes fewer columns.
    x_label, y_label : str
    log : bool
        Logarithmic y axis.
    limits : (float, float), optional
        Of the y axis; what lies beyond is cut off.
    title, theme, size
        As in `learning_curve`.

    Returns
    -------
    matplotlib Figure
        Its axes are row by row.

    Raises
    ------
    InvalidInput, InvalidType
        No panel, a panel without a curve or missing from the grid, more than 4 colours or styles.
    """
    from matplotlib.ticker import MaxNLocator

    checked = _checked(curves)
    look = look_named(theme, size)
    rows, columns = (list(dict.fromkeys(key[axis] for key in checked)) for axis in (0, 1))
    missing = [(r, c) for r in rows for c in columns if (r, c) not in checked]
    if missing:
        raise InvalidInput(f"curves must have a panel for each row and column. Got none for {missing[0]}")
    if look.is_narrow and len(columns) > len(rows):
        checked = {(c, r): lines for (r, c), lines in checked.items()}
        rows, columns = columns, rows
    pens = _pens(checked, look)
    # Not the title's nor the legend's: what the panels take.
    height = (_ALONE if len(rows) == 1 else _TALL[size]) * len(rows) + 0.8
    figure = new_figure(look, height=height)
    grid: Any = figure.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            ax = grid[i, j]
            dress(ax, look)
            for name, series in checked[row, column].items():
                # One value alone is a point.
                ax.plot(np.arange(1, series.size + 1), np.where(np.isfinite(series), series, np.nan),
                        marker="o" if series.size == 1 else None, **pens[name])  # fmt: skip
            head = ("\n" if look.is_narrow else ", ").join(part for part in (row, column) if part)
            ax.set_title(head, loc="left", fontsize=look.size.font, color=look.theme.ink)
    # Values are counted: there is no epoch 2.5.
    grid[0, 0].xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    if log:
        grid[0, 0].set_yscale("log", nonpositive="mask")
    if limits is not None:
        grid[0, 0].set_ylim(*limits)
    if log:
        _few_ticks(grid[0, 0])
    for text, place in ((figure.supxlabel, x_label), (figure.supylabel, y_label)):
        text(place, fontsize=look.size.font, color=look.theme.ink)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=look.size.font + 1.5, fontweight="bold",
                        color=look.theme.ink)  # fmt: skip
    _legend(figure, pens, look)
    return figure


def _few_ticks(ax: Axes) -> None:
    """Let an axis of few decades read 0.2, 0.5, 1 rather than powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = ax.get_ylim()
    decades = np.log10(high / low)
    if decades < 4:
        ax.yaxis.set_major_locator(
            LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2 else (1.0, 3.0), numticks=12)
        )
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_locator(NullLocator())


def _pens(curves: Panels, look: Look) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the look of each curve: the first name decides its colour, the second its line style."""
    names = list(dict.fromkeys(name for lines in curves.values() for name in lines))
    colours, styles = (list(dict.fromkeys(name[axis] for name in names)) for axis in (0, 1))
    for kind, found in (("colours", colours), ("line styles", styles)):
        if len(found) > len(LINE_STYLES):
            raise InvalidInput(f"curves must need at most {len(LINE_STYLES)} {kind}. Got {len(found)}")
    return {
        name: {
            "color": look.colour(colours.index(name[0])),
            "linestyle": LINE_STYLES[styles.index(name[1])],
            "linewidth": 1.5,
        }
        for name in names
    }


def _legend(figure: Figure, pens: Mapping[tuple[str, str], dict[str, Any]], look: Look) -> None:
    """Name colours and line styles apart, above the panels, in as many columns as fit."""
    from matplotlib.lines import Line2D

    handles = {colour: Line2D([], [], color=pen["color"], linewidth=2.0) for (colour, _), pen in pens.items()}
    if len({style for _, style in pens}) > 1:
        for (_, style), pen in pens.items():
            handles.setdefault(style, Line2D([], [], color=look.theme.ink, linestyle=pen["linestyle"]))
    handles.pop("", None)
    if len(handles) < 2:
        return
    room = figure.get_figwidth() * 0.94
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles.values(), handles, loc="outside upper left", ncols=columns, frameon=False,
            fontsize=look.size.font, labelcolor=look.theme.ink, handlelength=2.0, columnspacing=1.4,
        )  # fmt: skip
        box = legend.get_window_extent()
        if box.width / figure.dpi <= room or columns == 1:
            break
        legend.remove()
    figure.set_figheight(figure.get_figheight() + max(0.0, box.height / figure.dpi - 0.3))


def _checked(curves: Panels) -> dict[tuple[str, str], dict[tuple[str, str], Array]]:
    if not isinstance(curves, Mapping):
        raise InvalidType(f"curves must map (row, column) to curves. Got {type(curves).__name__}")
    if not curves:
        raise InvalidInput("curves must hold at least 1 panel. Got none")
    found = {}
    for panel, lines in curves.items():
        if not isinstance(lines, Mapping):
            raise InvalidType(
                f"curves[{panel}] must map (colour, style) to a series. Got {type(lines).__name__}"
            )
        if not lines:
            raise InvalidInput(f"curves[{panel}] must hold at least 1 curve. Got none")
        found[panel] = {name: check_series(f"curves[{panel}][{name}]", one) for name, one in lines.items()}
    return found
