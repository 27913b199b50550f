"""Autocorrelation of residuals: what a forecast left unsaid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bptt.checks import Array, check_array, check_whole
from bptt.errors import InvalidInput
from bptt.plots.style import LEVEL_STYLES, axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of a normal distribution: noise stays within so many standard errors in 95 % of the lags.
_BAND = 1.96


def autocorrelations(residuals: Array, lags: int) -> tuple[Array, int]:
    """Return the autocorrelations at lags 1..L, and how many residuals there are.

    Parameters
    ----------
    residuals : ndarray (M,)
        In order, an even step apart; NaN where one is missing: pairs with it do not count.
    lags : int
        L.

    Returns
    -------
    ndarray float64 (L,)
        NaN at a lag without two pairs; 0 where nothing varies.
    int

    Raises
    ------
    InvalidInput
        Fewer than three residuals.
    """
    values = check_array("residuals", residuals, [("M", None)]).astype(np.float64)
    count = check_whole("lags", lags)
    there = np.isfinite(values)
    if there.sum() < 3:
        raise InvalidInput(f"residuals must hold at least 3 numbers. Got {int(there.sum())}")
    centred = np.where(there, values - values[there].mean(), 0.0)
    variance = float((centred**2).sum() / there.sum())
    found = np.full(count, np.nan)
    for lag in range(1, min(count, values.size - 1) + 1):
        pairs = int((there[lag:] & there[:-lag]).sum())
        if pairs > 1:
            found[lag - 1] = float(centred[lag:] @ centred[:-lag]) / pairs / variance if variance else 0.0
    return found, int(there.sum())


def autocorrelation(
    residuals: Array,
    *,
    lags: int = 48,
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw the autocorrelation of one-step errors, with the band in which noise would lie.

    Parameters
    ----------
    residuals, lags
        As in `autocorrelations`.
    title, theme, size, ax
        As in `learning_curve`.
    """
    found, count = autocorrelations(residuals, lags)
    look, is_new = look_named(theme, size), ax is None
    ax = axes_or_new(ax, look)
    where = np.arange(1, found.size + 1)
    ax.vlines(where, 0, np.nan_to_num(found), color=look.colour(0), linewidth=2.0, zorder=3)
    ax.axhline(0, color=look.theme.ink, linewidth=0.8)
    band = _BAND / np.sqrt(count)
    for sign, label in ((1, "95 % of noise lies within"), (-1, None)):
        ax.axhline(
            sign * band, color=look.theme.baseline, linewidth=1.2, linestyle=LEVEL_STYLES[0], label=label
        )
    ax.set_xlim(0, found.size + 1)
    finish(ax, look, title=title, x_label="rows apart", y_label="autocorrelation", grow=is_new)
    return ax
