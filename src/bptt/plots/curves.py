"""Curves of any kind over steps: one line a name, with a level to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.records import check_series
from bptt.plots.style import LEVEL_STYLES, axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

# With more points than this a marker on each hides the line.
_MARKED = 40


def curves(
    lines: Mapping[str, Array],
    *,
    x: npt.ArrayLike | None = None,
    first: int = 0,
    x_label: str = "step",
    y_label: str = "",
    log: bool = False,
    log_x: bool = False,
    level: float | None = None,
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw one line a series.

    Parameters
    ----------
    lines : mapping of str to ndarray (N,)
        What is not finite leaves a gap, and on a logarithmic axis what is not above 0.
    x : array_like (N,), optional
        Where the values stand; by default ``first``, ``first + 1``, ...
    first : int
        Without `x`: the place of the first value.
    x_label, y_label : str
    log, log_x : bool
        Logarithmic axes.
    level : float, optional
        A thin line to compare with.
    title, theme, size, ax
        As in `path_lengths`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput, InvalidType
        Nothing to draw; places of another number than the values; nothing above 0 for a logarithmic axis.
    """
    checked = _checked(lines)
    places = None if x is None else check_series("x", x)
    for name, series in checked.items():
        if places is not None and places.size != series.size:
            raise InvalidInput(
                f"lines[{name!r}] must have shape (N,) = ({places.size},), as x has. Got ({series.size},)"
            )
    if log and not any((series > 0).any() for series in checked.values()):
        raise InvalidInput(
            "lines must hold a number above 0 to be drawn on a logarithmic axis. Got none: pass log=False"
        )
    look = look_named(theme, size)
    is_new = ax is None
    ax = axes_or_new(ax, look)
    if level is not None:
        ax.axhline(level, color=look.theme.baseline, linewidth=1.0, linestyle=LEVEL_STYLES[0], zorder=2)
    for index, (name, series) in enumerate(checked.items()):
        visible = np.isfinite(series) & (series > 0) if log else np.isfinite(series)
        ax.plot(
            np.arange(first, first + series.size) if places is None else places,
            np.where(visible, series, np.nan),
            color=look.colour(index),
            linestyle=look.line_style(index),
            linewidth=2.0,
            marker="o" if series.size <= _MARKED else None,
            markersize=4.0,
            label=name,
            zorder=3,
        )
    if log:
        ax.set_yscale("log", nonpositive="mask")
    if log_x:
        ax.set_xscale("log")
    elif places is None:
        _whole_ticks(ax)
    finish(ax, look, title=title, x_label=x_label, y_label=y_label, legend=len(checked) > 1, grow=is_new)
    return ax


def _whole_ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def _checked(lines: Mapping[str, Array]) -> dict[str, Array]:
    if not isinstance(lines, Mapping):
        raise InvalidType(f"lines must map a name to an array. Got {type(lines).__name__}")
    if not lines:
        raise InvalidInput("lines must hold at least 1 line. Got none")
    return {str(name): check_series(f"lines[{name!r}]", value) for name, value in lines.items()}
