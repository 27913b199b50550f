"""Error of several methods by how far ahead they forecast, or by the month of what they forecast."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bptt.checks import Array, check_array
from bptt.errors import InvalidInput
from bptt.plots.records import check_names
from bptt.plots.style import LINE_STYLES, Look, axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# With more points than this a marker on each hides the line.
_MARKED = 40


def error_by_horizon(
    curves: Mapping[str, Array],
    *,
    baselines: Collection[str] = (),
    y_label: str = "RMSE",
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw an error for every step of the horizon, a line a method.

    Parameters
    ----------
    curves : mapping of str to ndarray (K,)
        Errors of the steps 1 to K; NaN where there is none: what lies between is joined.
    baselines : collection of str
        Names among the curves that are drawn in grey, each with a line style of its own.
    y_label : str
        What the error is, and its unit.
    title, theme, size, ax
        As in `learning_curve`.

    Returns
    -------
    matplotlib Axes
        The error axis starts at 0.

    Raises
    ------
    InvalidInput
        No curve, or curves of unequal length.
    """
    from matplotlib.ticker import MaxNLocator

    checked = _checked(curves)
    look, is_new = look_named(theme, size), ax is None
    ax = axes_or_new(ax, look)
    steps = np.arange(1, len(next(iter(checked.values()))) + 1)
    _draw(ax, look, steps, checked, check_names("baselines", baselines, checked))
    ax.set_xlim(0.5 if steps.size < _MARKED else 1, steps[-1] + (0.5 if steps.size < _MARKED else 0))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    finish(ax, look, title=title, x_label="steps ahead", y_label=y_label, grow=is_new)
    return ax


def error_by_month(
    curves: Mapping[str, Array],
    *,
    baselines: Collection[str] = (),
    y_label: str = "RMSE",
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw an error for every month, a line a method.

    Parameters
    ----------
    curves : mapping of str to ndarray (12,)
        NaN for a month without a forecast.
    baselines, y_label, title, theme, size, ax
        As in `error_by_horizon`.

    Raises
    ------
    InvalidInput
        Not twelve values.
    """
    checked = _checked(curves)
    if len(next(iter(checked.values()))) != len(_MONTHS):
        raise InvalidInput(
            f"curves must have 12 values, one a month. Got {len(next(iter(checked.values())))}"
        )
    look, is_new = look_named(theme, size), ax is None
    ax = axes_or_new(ax, look)
    _draw(ax, look, np.arange(12), checked, check_names("baselines", baselines, checked))
    ax.set_xticks(np.arange(12), [name[0] if look.is_narrow else name for name in _MONTHS])
    ax.set_xlim(-0.5, 11.5)
    finish(ax, look, title=title, x_label="month", y_label=y_label, grow=is_new)
    return ax


def _checked(curves: Mapping[str, Array]) -> dict[str, Array]:
    checked = {name: check_array(f"curve {name!r}", values, [("K", None)]) for name, values in curves.items()}
    sizes = {name: len(values) for name, values in checked.items()}
    if not sizes or len(set(sizes.values())) > 1 or not min(sizes.values()):
        raise InvalidInput(f"curves must hold at least one curve, all of one length K. Got lengths {sizes}")
    return checked


def _draw(ax: Axes, look: Look, x: Array, curves: Mapping[str, Array], grey: Collection[str]) -> None:
    models = greys = 0
    top = 0.0
    for name, values in curves.items():
        if name in grey:
            pen: dict[str, Any] = {
                "color": look.theme.baseline,
                "linestyle": LINE_STYLES[greys % len(LINE_STYLES)],
            }
            greys += 1
        else:
            pen = {"color": look.colour(models), "linestyle": look.line_style(models), "zorder": 4}
            models += 1
        there = np.isfinite(values)
        marker = "o" if x.size <= _MARKED and (name not in grey or there.sum() < 2) else ""
        ax.plot(x[there], values[there], linewidth=1.9, marker=marker, markersize=4, label=name, **pen)
        top = max(top, float(values[there].max(initial=0.0)))
    ax.set_ylim(0, 1.08 * top or 1.0)
