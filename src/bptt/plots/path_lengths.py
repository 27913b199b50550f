"""Gradient against the length of its paths."""

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

# With more points than this a marker on each hides the line.
_MARKED = 40


def path_lengths(
    profiles: Mapping[str, Array],
    *,
    quantity: str = "mean |dL/dW_hh|",
    x_label: str | None = None,
    log: bool = True,
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw what came over paths of each length, one line a profile.

    Parameters
    ----------
    profiles : mapping of str to ndarray (N,)
        At index k what came over k hidden-to-hidden Jacobians, not negative. A zero leaves a gap on a logarithmic
        axis.
    quantity : str
        What the numbers are.
    x_label : str, optional
        What k is, where it is not the path length.
    log : bool
        Logarithmic axis of the quantity.
    title : str, optional
    theme : "light" or "dark"
    size : "wide" or "narrow"
        Of the new figure; with `ax`, of the fonts.
    ax : matplotlib Axes, optional
        Drawn on; by default the axes of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput, InvalidType
        No profile, a negative number, nothing above 0 for a logarithmic axis.
    """
    checked = _checked(profiles)
    if log and not any((series > 0).any() for series in checked.values()):
        raise InvalidInput(
            "profiles must hold a number above 0 to be drawn on a logarithmic axis. Got none: pass log=False"
        )
    look = look_named(theme, size)
    is_new = ax is None
    ax = axes_or_new(ax, look)
    longest = max(series.size for series in checked.values())
    for index, (name, series) in enumerate(checked.items()):
        ax.plot(
            np.arange(series.size),
            np.where(series > 0, series, np.nan) if log else series,
            color=look.colour(index),
            linestyle=look.line_style(index),
            linewidth=2.0,
            marker="o" if longest <= _MARKED else None,
            markersize=4.0,
            label=name,
            zorder=3,
        )
    if log:
        ax.set_yscale("log", nonpositive="mask")
    _whole_ticks(ax, longest)
    unit = "\n(hidden-to-hidden Jacobians)" if look.is_narrow else ": hidden-to-hidden Jacobians crossed"
    usual = f"path length k{unit}"
    finish(
        ax,
        look,
        title=title,
        x_label=x_label or usual,
        y_label=quantity,
        legend=len(checked) > 1,
        grow=is_new,
    )
    return ax


def _whole_ticks(ax: Axes, longest: int) -> None:
    from matplotlib.ticker import MaxNLocator

    margin = 0.02 * longest + 0.3
    ax.set_xlim(-margin, longest - 1 + margin)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def _checked(profiles: Mapping[str, Array]) -> dict[str, Array]:
    if not isinstance(profiles, Mapping):
        raise InvalidType(f"profiles must map a name to an array. Got {type(profiles).__name__}")
    if not profiles:
        raise InvalidInput("profiles must hold at least 1 profile. Got none")
    checked = {str(name): check_series(f"profiles[{name!r}]", value) for name, value in profiles.items()}
    for name, series in checked.items():
        if (series < 0).any():
            raise InvalidInput(
                f"profiles[{name!r}] must be at least 0. Got {np.nanmin(series):g}: draw sizes, not entries"
            )
    return checked
