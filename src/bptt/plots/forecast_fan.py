"""The end of a history and what is forecast after it, with its intervals as a fan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bptt.checks import Array, check_array
from bptt.errors import InvalidInput
from bptt.plots.style import axes_or_new, finish, look_named, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# How much of the background one band hides.
BAND = 0.22


def forecast_fan(
    times: Array,
    history: Array,
    ahead: Array,
    y_hat: Array,
    intervals: Mapping[float, tuple[Array, Array]] | None = None,
    *,
    quantity: str = "value",
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw a history and a forecast.

    Parameters
    ----------
    times, history : ndarray (T,)
        Dates or numbers, and values; NaN leaves a gap.
    ahead, y_hat : ndarray (K,)
        Of the forecast.
    intervals : mapping of coverage to (low, high), each ndarray (K,), optional
        As ``{0.9: (low, high)}``; the widest lies at the back.
    quantity : str
        What is drawn, with its unit.
    legend : bool
        Whether a legend says which is which.
    title, theme, size, ax
        As in `learning_curve`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput
        Arrays of unequal length.
    """
    history = check_array("history", history, [("T", None)])
    y_hat = check_array("y_hat", y_hat, [("K", None)])
    for name, moments, values in (("times", times, history), ("ahead", ahead, y_hat)):
        if np.shape(moments) != values.shape:
            raise InvalidInput(
                f"{name} must have shape {values.shape}, one for each value. Got {np.shape(moments)}"
            )
    look = look_named(theme, size)
    ax = axes_or_new(new_figure(look).subplots() if ax is None else ax, look)
    colour = look.colour(0)
    for k, (coverage, (low, high)) in enumerate(sorted((intervals or {}).items(), reverse=True), 1):
        check_array("low", low, [("K", len(y_hat))])
        check_array("high", high, [("K", len(y_hat))])
        ax.fill_between(ahead, low, high, color=colour, alpha=BAND, linewidth=0)
        # A narrow band lies on the wider ones: the legend shows the colour that is seen.
        seen = 1 - (1 - BAND) ** k
        ax.fill([], [], color=colour, alpha=seen, linewidth=0, label=f"{100 * coverage:g} % interval")
    ax.plot(times, history, color=look.theme.ink, linewidth=1.6, label="history")
    ax.plot(
        ahead, y_hat, color=colour, linewidth=1.6, marker="o" if len(y_hat) == 1 else "", label="forecast"
    )
    if np.asarray(times).dtype.kind == "M":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        few = look.is_narrow or not legend  # one of several small ones
        locator = AutoDateLocator(minticks=2, maxticks=5 if few else 9)  # type: ignore[no-untyped-call]  # as matplotlib has it
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # as above
    finish(ax, look, title=title, x_label="", y_label=quantity, legend=legend)
    return ax
