"""A series and its fits, in small panels: how a network comes nearer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array, check_whole
from bptt.errors import InvalidInput, InvalidType
from bptt.plots.records import check_series
from bptt.plots.style import dress, look_named, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

_FLOAT64 = np.dtype("float64")


def fits(
    x: Array,
    y: Array,
    predictions: Mapping[str, Array | tuple[Array, Array]],
    *,
    names: tuple[str, str] = ("y", "prediction"),
    columns: int = 3,
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
) -> Figure:
    """Draw the series as dots and a prediction as a line, a panel a prediction.

    Parameters
    ----------
    x, y : ndarray (T,)
        The series; y is drawn in every panel.
    predictions : mapping of str to ndarray (T,), or to (x, prediction) of another length
        By the panel's title.
    names : (str, str)
        What dots and line are.
    columns : int
        Panels side by side; at most 2 where narrow.
    limits : (float, float), optional
        Of the y axis; by default those of y, with as much again on either side.
    title, theme, size
        As in `learning_curve`.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InvalidInput, InvalidType
        No prediction, unequal lengths.
    """
    x, y = check_series("x", x), check_series("y", y)
    if x.size != y.size:
        raise InvalidInput(f"y must have shape (T,) = ({x.size},), as x has. Got {y.shape}")
    if not isinstance(predictions, Mapping):
        raise InvalidType(f"predictions must map a title to an array. Got {type(predictions).__name__}")
    if not predictions:
        raise InvalidInput("predictions must hold at least 1 prediction. Got none")
    lines = {name: _line(name, value, x) for name, value in predictions.items()}
    look = look_named(theme, size)
    across = min(check_whole("columns", columns), len(lines), 2 if look.is_narrow else columns)
    down = -(-len(lines) // across)
    one = 1.25 if len(lines) > 6 else 1.7 if len(lines) > 1 else 2.8
    figure = new_figure(look, height=one * down + 0.9)
    grid: Any = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    middle, half = (y.max() + y.min()) / 2, (y.max() - y.min()) / 2
    for ax, (name, (places, values)) in zip(grid.flat, lines.items(), strict=False):
        dress(ax, look)
        ax.plot(x, y, linestyle="none", marker=".", markersize=3.0, color=look.theme.baseline, label=names[0])
        ax.plot(places, values, color=look.colour(0), linewidth=1.4, label=names[1])
        ax.set_title(name, loc="left", fontsize=look.size.font, color=look.theme.ink)
    for ax in grid.flat[len(lines) :]:
        ax.set_visible(False)
    grid[0, 0].set_ylim(*(limits or (middle - 2 * max(half, 1e-12), middle + 2 * max(half, 1e-12))))
    figure.supxlabel("x", fontsize=look.size.font, color=look.theme.ink)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False, fontsize=look.size.font,
                  labelcolor=look.theme.ink, markerscale=2.5)  # fmt: skip
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=look.size.font + 1.5, fontweight="bold",
                        color=look.theme.ink)  # fmt: skip
    return figure


def _line(name: str, value: Any, x: Array) -> tuple[Array, Array]:
    label = f"predictions[{name!r}]"
    if isinstance(value, tuple) and len(value) == 2:
        places, values = check_series(f"{label} x", value[0]), check_series(label, value[1])
        if places.size != values.size:
            raise InvalidInput(
                f"{label} must have shape (T,) = ({places.size},), as its x. Got {values.shape}"
            )
        return places, values
    return x, check_array(label, np.asarray(value), [("T", x.size)], dtype=_FLOAT64, reason="x has that many")
