"""Forecasts that were made one after the other, each with its interval, beside what came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bptt.checks import Array, check_array
from bptt.errors import InvalidInput
from bptt.plots.forecast_fan import BAND
from bptt.plots.style import axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def forecast_runs(
    times: Array,
    truth: Array,
    starts: Array,
    y_hat: Array,
    low: Array,
    high: Array,
    *,
    coverage: float = 0.9,
    quantity: str = "value",
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw a stretch of truth and the forecasts of it, a dotted line where each of them was made.

    Parameters
    ----------
    times, truth : ndarray (T,)
        Dates or numbers, and what came; NaN leaves a gap.
    starts : ndarray of int (n,)
        The row of `times` that each forecast begins at, in 0..T - K.
    y_hat, low, high : ndarray (n, K)
        Forecasts and the ends of their intervals; NaN where there are none.
    coverage : float
        That the intervals aim at.
    quantity : str
        What is drawn, with its unit.
    title, theme, size, ax
        As in `learning_curve`.

    Returns
    -------
    matplotlib Axes
        Forecasts of one row each are joined, as lines of one point cannot be seen.

    Raises
    ------
    InvalidInput
        Arrays that do not fit together.
    """
    truth = check_array("truth", truth, [("T", None)])
    y_hat = check_array("y_hat", y_hat, [("n", None), ("K", None)])
    n, K = y_hat.shape
    low, high = (
        check_array(name, value, [("n", n), ("K", K)]) for name, value in (("low", low), ("high", high))
    )
    starts = np.asarray(starts)
    if np.shape(times) != truth.shape:
        raise InvalidInput(f"times must have shape {truth.shape}, one for each value. Got {np.shape(times)}")
    if starts.shape != (n,) or (n and not (starts.min() >= 0 and starts.max() + K <= len(truth))):
        raise InvalidInput(
            f"starts must be n = {n} rows in 0..T - K = {len(truth) - K}. Got {np.array2string(starts, threshold=4)}"
        )
    look = look_named(theme, size)
    is_new = ax is None
    ax = axes_or_new(ax, look)
    colour = look.colour(0)
    if K == 1:
        y_hat, low, high = y_hat.T, low.T, high.T
        x = [np.asarray(times)[starts]]
    else:
        x = [np.asarray(times)[start : start + K] for start in starts]
        for moments in x:
            ax.axvline(moments[0], color=look.theme.muted, linewidth=0.7, linestyle=":", zorder=1)
    for moments, value, bottom, top in zip(x, y_hat, low, high, strict=True):
        ax.fill_between(moments, bottom, top, color=colour, alpha=BAND, linewidth=0)
        ax.plot(moments, value, color=colour, linewidth=1.6)
    if np.isfinite(low).any():
        ax.fill([], [], color=colour, alpha=BAND, linewidth=0, label=f"{100 * coverage:g} % interval")
    ax.plot([], [], color=colour, linewidth=1.6, label="forecast")
    ax.plot(times, truth, color=look.theme.ink, linewidth=1.6, label="what came", zorder=3)
    if np.asarray(times).dtype.kind == "M":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=2, maxticks=5 if look.is_narrow else 9)  # type: ignore[no-untyped-call]  # as matplotlib has it
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # as above
    finish(ax, look, title=title, x_label="", y_label=quantity, grow=is_new)
    return ax
