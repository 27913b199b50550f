"""A week of truth against forecasts, and under it their errors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_whole
from bptt.errors import InvalidInput, InvalidType
from bptt.plots.records import check_forecasts, check_names, check_series
from bptt.plots.style import LINE_STYLES, Look, axes_or_new, dress, finish, look_named, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

_DAY = np.timedelta64(1, "D")


def forecast_week(
    truth: Array,
    forecasts: Mapping[str, Array],
    *,
    times: Array | None = None,
    start: int = 0,
    steps: int = 168,
    baselines: Collection[str] = (),
    quantity: str = "value",
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw a stretch of truth and forecasts; in a new figure, a strip under it shows forecast minus truth.

    Parameters
    ----------
    truth : ndarray (N,)
        In order of time; nan leaves a gap.
    forecasts : mapping of str to ndarray (N,)
        By method, each for the same moments as the truth.
    times : ndarray (N,), datetime64, optional
        Of the truth, increasing. Where more than 1.5 usual steps pass between two of them, the lines break.
    start, steps : int
        First index and number of steps shown; 168 hours are a week.
    baselines : collection of str
        Names among the forecasts that are drawn in grey, each with a line style of its own.
    quantity : str
        What is drawn, with its unit.
    title, theme, size, ax
        As in `learning_curve`. On given axes there is no strip of errors.

    Returns
    -------
    matplotlib Axes
        The upper ones; `figure.axes[1]` is the strip.

    Raises
    ------
    InvalidInput, InvalidType
        Unequal lengths, a start past the end, times that do not increase.
    """
    truth = check_series("truth", truth)
    forecasts = check_forecasts(truth, forecasts)
    grey = check_names("baselines", baselines, forecasts)
    check_whole("start", start, least=0)
    check_whole("steps", steps)
    if start >= truth.size:
        raise InvalidInput(f"start must be below N = {truth.size}, the length of truth. Got {start}")
    look = look_named(theme, size)
    moments = None if times is None else _checked_times(times, truth.size)
    shown = slice(start, start + steps)
    x = np.arange(truth.size)[shown] if moments is None else moments[shown]
    series = [truth[shown], *(forecast[shown] for forecast in forecasts.values())]
    if moments is not None:
        x, series = _broken_at_gaps(x, series)

    strip = None
    if ax is None:
        figure = new_figure(look, height=look.size.height + (0.7 if look.is_narrow else 0.5))
        upper, strip = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        ax = axes_or_new(upper, look)
        dress(strip, look)
    else:
        ax = axes_or_new(ax, look)

    ax.plot(x, series[0], color=look.theme.ink, linewidth=1.9, label="truth", zorder=3)
    models = greys = 0
    for (name, _), values in zip(forecasts.items(), series[1:], strict=True):
        if name in grey:
            pen: dict[str, Any] = {
                "color": look.theme.baseline,
                "linestyle": LINE_STYLES[greys % len(LINE_STYLES)],
            }
            greys += 1
        else:
            pen = {"color": look.colour(models), "linestyle": look.line_style(models), "zorder": 4}
            models += 1
        ax.plot(x, values, linewidth=1.4, label=name, **pen)
        if strip is not None:
            strip.plot(x, values - series[0], linewidth=1.2, **pen)
    _time_axis(ax, x, look)
    x_label = "" if moments is not None else "step"
    if strip is None:
        finish(ax, look, title=title, x_label=x_label, y_label=quantity)
    else:
        ax.tick_params(axis="x", labelbottom=False)
        strip.axhline(0, color=look.theme.ink, linewidth=0.8, zorder=2)
        finish(ax, look, title=title, x_label="", y_label=quantity, grow=True)
        finish(strip, look, title=None, x_label=x_label, y_label="error", legend=False)
    return ax


def _checked_times(times: Array, length: int) -> Array:
    try:
        moments = np.asarray(times).astype("datetime64[s]")
    except (TypeError, ValueError):
        raise InvalidType(f"times must be dates (datetime64). Got {np.asarray(times).dtype}") from None
    if moments.shape != (length,):
        raise InvalidInput(
            f"times must have shape (N,) = ({length},). Got {moments.shape}: one for each value of truth"
        )
    wrong = np.flatnonzero(~(np.diff(moments) > np.timedelta64(0, "s")))
    if wrong.size:
        row = int(wrong[0]) + 1
        raise InvalidInput(
            f"times must increase. Got {moments[row]} in row {row} after {moments[row - 1]}: sort by time"
        )
    return moments


def _broken_at_gaps(x: Array, series: list[Array]) -> tuple[Array, list[Array]]:
    """Put a nan into every hole of the time axis, so that no line is drawn across it."""
    if x.size < 3:
        return x, series
    gaps = np.diff(x)
    usual = np.median(gaps.astype("int64"))
    holes = np.flatnonzero(gaps.astype("int64") > 1.5 * usual) + 1
    x = np.insert(x, holes, x[holes - 1] + np.timedelta64(int(usual), "s"))
    return x, [np.insert(values, holes, np.nan) for values in series]


def _time_axis(ax: Axes, x: Array, look: Look) -> None:
    """Put a tick at every midnight, or every 24 steps; every other one where space is short."""
    every = 2 if look.is_narrow else 1
    if x.dtype.kind != "M":
        if 48 <= x.size <= 24 * 14:
            ax.set_xticks(np.arange(-(-int(x[0]) // 24) * 24, int(x[-1]) + 1, 24 * every))
        ax.set_xlim(float(x[0]), float(max(x[-1], x[0] + 1)))
        return
    ax.set_xlim(x[0], max(x[-1], x[0] + np.timedelta64(1, "h")))
    if not 2 * _DAY <= x[-1] - x[0] <= 14 * _DAY:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(maxticks=5 if look.is_narrow else 9)  # type: ignore[no-untyped-call]  # as matplotlib has it
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # as above
        return
    first = x[0].astype("datetime64[D]")
    if first < x[0]:
        first = first + _DAY
    midnights = np.arange(first, x[-1].astype("datetime64[D]") + _DAY, every * _DAY)
    days = midnights.tolist()
    ax.set_xticks(midnights, [f"{day:%a}\n{day.day} {day:%b}" for day in days])
