"""Truncated gradients against the full one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.records import check_series
from bptt.plots.style import axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]


def truncation(
    cosines: Mapping[str, Array],
    *,
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw the cosine between truncated gradients and the full one against the longest path that is kept.

    Parameters
    ----------
    cosines : mapping of str to ndarray (N,)
        At index k with paths of at most k Jacobians; each in -1..1.
    title, theme, size, ax
        As in `path_lengths`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput, InvalidType
        Nothing to draw, or a number that is no cosine.
    """
    if not isinstance(cosines, Mapping):
        raise InvalidType(f"cosines must map a name to an array. Got {type(cosines).__name__}")
    if not cosines:
        raise InvalidInput("cosines must hold at least 1 array. Got none")
    checked = {str(name): check_series(f"cosines[{name!r}]", value) for name, value in cosines.items()}
    for name, series in checked.items():
        # A hair beyond 1 is rounding.
        if np.nanmax(np.abs(series)) > 1 + 1e-9:
            raise InvalidInput(
                f"cosines[{name!r}] must lie in -1..1. Got {series[np.nanargmax(np.abs(series))]:g}"
            )
    look = look_named(theme, size)
    is_new = ax is None
    ax = axes_or_new(ax, look)
    longest = max(series.size for series in checked.values())
    for index, (name, series) in enumerate(checked.items()):
        ax.plot(
            np.arange(series.size),
            series,
            color=look.colour(index),
            linestyle=look.line_style(index),
            linewidth=2.0,
            marker="o" if longest <= 40 else None,
            markersize=4.0,
            label=name,
            zorder=3,
        )
    lowest = min(float(np.nanmin(series)) for series in checked.values())
    ax.set_ylim(min(0.0, lowest) - 0.03, 1.04)
    ax.set_xlim(-0.3, longest - 0.7)
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    finish(
        ax,
        look,
        title=title,
        x_label="longest path kept, in steps back",
        y_label="cosine to the full gradient",
        legend=len(checked) > 1,
        grow=is_new,
    )
    return ax
