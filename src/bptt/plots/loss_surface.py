"""A loss over two weights, with the paths that descents took on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array
from bptt.errors import InvalidInput, InvalidType
from bptt.plots.records import check_series
from bptt.plots.style import axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]
_FLOAT64 = np.dtype("float64")
_LEVELS = 18


def loss_surface(
    x: Array,
    y: Array,
    losses: Array,
    paths: Mapping[str, Array],
    *,
    x_label: str = "w",
    y_label: str = "b",
    loss_label: str = "loss",
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw a loss as shades of grey over a plane, and paths over it.

    Parameters
    ----------
    x, y : ndarray (n,), (m,)
        Rising coordinates of the grid's columns and rows.
    losses : ndarray (m, n)
        At ``y[i], x[j]``; darker is higher.
    paths : mapping of str to ndarray (steps, 2)
        Points (x, y) in the order they were reached. What leaves the grid is cut off at its border.
    x_label, y_label, loss_label : str
    title, theme, size, ax
        As in `path_lengths`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput, InvalidType
        Shapes that do not belong together, coordinates that do not rise, losses that are not finite.
    """
    columns, rows = check_series("x", x), check_series("y", y)
    for name, series in (("x", columns), ("y", rows)):
        if series.size < 2 or not (np.diff(series) > 0).all():
            raise InvalidInput(
                f"{name} must hold at least 2 rising numbers. Got {series.size} that do not all rise"
            )
    grid = check_array("losses", losses, [("m", rows.size), ("n", columns.size)], dtype=_FLOAT64)
    if not np.isfinite(grid).all():
        raise InvalidInput("losses must be finite. Got nan or inf")
    if not isinstance(paths, Mapping):
        raise InvalidType(f"paths must map a name to points. Got {type(paths).__name__}")
    lines = {
        str(name): check_array(f"paths[{name!r}]", points, [("steps", None), ("x, y", 2)], dtype=_FLOAT64)
        for name, points in paths.items()
    }
    look = look_named(theme, size)
    is_new = ax is None
    ax = axes_or_new(ax, look)
    from matplotlib.colors import LinearSegmentedColormap

    # From the paper's own colour, so that the low ground is the background.
    shades = LinearSegmentedColormap.from_list("loss", [look.theme.background, look.theme.muted])
    filled = ax.contourf(columns, rows, grid, levels=_LEVELS, cmap=shades)
    bar = ax.figure.colorbar(filled, ax=ax, pad=0.02)
    bar.set_label(loss_label, color=look.theme.ink, fontsize=look.size.font)
    bar.ax.tick_params(colors=look.theme.muted, labelcolor=look.theme.ink, labelsize=look.size.font - 0.5)
    bar.outline.set_edgecolor(look.theme.muted)
    for index, (name, points) in enumerate(lines.items()):
        colour = look.colour(index)
        ax.plot(points[:, 0], points[:, 1], color=colour, linestyle=look.line_style(index), linewidth=1.4,
                marker="o", markersize=2.6, label=name, zorder=3 + index)  # fmt: skip
    ax.set_xlim(columns[0], columns[-1])
    ax.set_ylim(rows[0], rows[-1])
    ax.grid(False)
    finish(ax, look, title=title, x_label=x_label, y_label=y_label, legend=len(lines) > 0, grow=is_new)
    return ax
