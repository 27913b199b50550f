"""Error of several methods by hour of the day."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array, check_choice
from bptt.errors import InvalidInput, InvalidType
from bptt.plots.records import check_all_finite, check_forecasts, check_names, check_series
from bptt.plots.style import LINE_STYLES, axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

METRICS = {"rmse": "RMSE", "mae": "mean absolute error"}


def error_by_hour(
    hours: Array,
    truth: Array,
    forecasts: Mapping[str, Array],
    *,
    metric: str = "rmse",
    baselines: Collection[str] = (),
    unit: str = "",
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw each method's error for every hour of the day.

    Parameters
    ----------
    hours : ndarray (N,), whole numbers
        Hour of the day of each value of the truth, 0 to 23.
    truth : ndarray (N,)
    forecasts : mapping of str to ndarray (N,)
        By method.
    metric : "rmse" or "mae"
    baselines : collection of str
        Names among the forecasts that are drawn in grey, each with a line style of its own.
    unit : str
        Of the truth.
    title, theme, size, ax
        As in `learning_curve`.

    Returns
    -------
    matplotlib Axes
        The error axis starts at 0.
    """
    truth = check_series("truth", truth)
    forecasts = check_forecasts(truth, forecasts)
    grey = check_names("baselines", baselines, forecasts)
    look = look_named(theme, size)
    lines = {name: errors_by_hour(hours, truth, values, metric=metric) for name, values in forecasts.items()}
    is_new = ax is None
    ax = axes_or_new(ax, look)
    models = greys = 0
    for name, values in lines.items():
        if name in grey:
            pen: dict[str, Any] = {
                "color": look.theme.baseline,
                "linestyle": LINE_STYLES[greys % len(LINE_STYLES)],
            }
            greys += 1
        else:
            pen = {
                "color": look.colour(models),
                "linestyle": look.line_style(models),
                "marker": "o",
                "zorder": 4,
            }
            models += 1
        ax.plot(np.arange(24), values, linewidth=1.9, markersize=4, label=name, **pen)
    ax.set_xticks(range(0, 24, 3))
    ax.set_xlim(-0.5, 23.5)
    ax.set_ylim(0, 1.08 * float(np.nanmax([np.nanmax(values) for values in lines.values()])) or 1.0)
    finish(
        ax,
        look,
        title=title,
        x_label="hour of the day",
        y_label=f"{METRICS[metric]}, {unit}" if unit else METRICS[metric],
        grow=is_new,
    )
    return ax


def errors_by_hour(hours: Array, truth: Array, forecast: Array, *, metric: str = "rmse") -> Array:
    """Return the error within each hour of the day, in the unit of the truth.

    Parameters
    ----------
    hours : ndarray (N,), whole numbers 0 to 23
    truth, forecast : ndarray (N,), finite
    metric : "rmse" or "mae"

    Returns
    -------
    ndarray (24,), float64
        nan for an hour without a value.

    Raises
    ------
    InvalidInput, InvalidType
        Unequal lengths, an hour outside 0 to 23, a value that is not finite.
    """
    check_choice("metric", metric, METRICS)
    truth = check_series("truth", truth)
    forecast = check_forecasts(truth, {"forecast": forecast})["forecast"]
    check_all_finite("truth", truth)
    check_all_finite("forecast", forecast)
    hours = check_array("hours", hours, [("N", truth.size)], reason="truth has that many values")
    if hours.dtype.kind not in "iu":
        raise InvalidType(f"hours must be whole numbers. Got dtype {hours.dtype}")
    wrong = np.flatnonzero((hours < 0) | (hours > 23))
    if wrong.size:
        row = int(wrong[0])
        raise InvalidInput(f"hours must lie in 0..23. Got {int(hours[row])} in row {row}")
    error = forecast - truth
    amount = error**2 if metric == "rmse" else np.abs(error)
    counts = np.bincount(hours, minlength=24)
    sums = np.bincount(hours, weights=amount, minlength=24)
    means = np.full(24, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return np.sqrt(means) if metric == "rmse" else means
