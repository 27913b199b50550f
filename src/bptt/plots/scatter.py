"""Forecast against truth on the test part, with a smooth curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.plots.numbers import decimals_for
from bptt.plots.records import check_all_finite, check_forecasts, check_series
from bptt.plots.smooth import smooth_curve
from bptt.plots.style import Look, axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

# Above this many points single dots would only make a blot.
_MOST_DOTS = 20_000


def scatter(
    truth: Array,
    prediction: Array,
    *,
    unit: str = "",
    span: float = 0.3,
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw the forecast over the truth, the line where both are equal and a smooth curve.

    Parameters
    ----------
    truth, prediction : ndarray (N,)
        Finite, in `unit`. More than 20,000 points are drawn as counts in hexagons.
    unit : str
        Of both, written on the axes.
    span : float
        Of the smooth curve, see `smooth_curve`.
    title, theme, size, ax
        As in `learning_curve`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput, InvalidType
        Unequal lengths, no point, or a value that is not finite.
    """
    truth = check_series("truth", truth)
    prediction = check_forecasts(truth, {"prediction": prediction})["prediction"]
    check_all_finite("truth", truth)
    check_all_finite("prediction", prediction)
    look = look_named(theme, size)
    # Nearly square, so that equal scales leave no empty sides.
    is_new = ax is None
    ax = axes_or_new(ax, look, width=None if look.is_narrow else 5.6, height=3.9 if look.is_narrow else 5.6)
    ax.grid(True, axis="x", color=look.theme.grid, linewidth=0.8)
    low = min(truth.min(), prediction.min())
    high = max(truth.max(), prediction.max())
    margin = 0.04 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    if truth.size > _MOST_DOTS:
        _draw_hexagons(ax, truth, prediction, limits, look)
    else:
        _draw_dots(ax, truth, prediction, look)
    ax.plot(
        limits, limits, color=look.theme.ink, linewidth=1.1, linestyle=(0, (5, 3)), label="forecast = truth"
    )
    _draw_curve(ax, *smooth_curve(truth, prediction, span=span), look)
    rmse = float(np.sqrt(np.mean((prediction - truth) ** 2)))
    ax.text(
        0.975,
        0.03,
        f"RMSE {rmse:.{decimals_for(rmse)}f} {unit}".rstrip() + f"\n{truth.size:,} points",
        transform=ax.transAxes,
        ha="right",
        va="bottom",
        fontsize=look.size.font,
        linespacing=1.4,
        color=look.theme.ink,
        bbox={
            "boxstyle": "square,pad=0.3",
            "facecolor": look.theme.background,
            "edgecolor": "none",
            "alpha": 0.85,
        },
        zorder=6,
    )
    ax.set(xlim=limits, ylim=limits)
    ax.set_aspect("equal", adjustable="box")
    in_unit = f", {unit}" if unit else ""
    finish(ax, look, title=title, x_label=f"truth{in_unit}", y_label=f"forecast{in_unit}", grow=is_new)
    return ax


def _draw_dots(ax: Axes, truth: Array, prediction: Array, look: Look) -> None:
    crowd = min(1.0, (truth.size / 300) ** -0.5)  # 1 for few points, 0.19 for 8,600
    ax.scatter(
        truth,
        prediction,
        s=5 + 13 * crowd,
        color=look.colour(0),
        alpha=0.1 + 0.55 * crowd,
        linewidths=0,
        zorder=2,
    )


def _draw_hexagons(
    ax: Axes, truth: Array, prediction: Array, limits: tuple[float, float], look: Look
) -> None:
    from matplotlib.colors import LinearSegmentedColormap, to_rgb
    from matplotlib.ticker import FuncFormatter

    paper, colour = np.array(to_rgb(look.theme.background)), np.array(to_rgb(look.colour(0)))
    # From a visible tint, so that a single point in an empty place is seen, to the full colour.
    tints = [tuple(paper + share * (colour - paper)) for share in (0.25, 0.6, 1.0)]
    hexagons = ax.hexbin(
        truth,
        prediction,
        gridsize=45,
        extent=(*limits, *limits),
        bins="log",
        mincnt=1,
        linewidths=0.1,
        cmap=LinearSegmentedColormap.from_list("counts", tints),
        zorder=2,
    )
    bar = ax.figure.colorbar(hexagons, ax=ax, shrink=0.6, aspect=25, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(
        colors=look.theme.muted, labelcolor=look.theme.ink, labelsize=look.size.font - 0.5, length=3
    )
    bar.ax.minorticks_off()
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    bar.set_label("points in a hexagon", color=look.theme.ink, fontsize=look.size.font)


def _draw_curve(ax: Axes, grid: Array, fitted: Array, look: Look) -> None:
    from matplotlib.patheffects import withStroke

    edge = withStroke(linewidth=4.5, foreground=look.theme.background)
    ax.plot(
        grid,
        fitted,
        color=look.colour(1),
        linewidth=2.4,
        solid_capstyle="round",
        path_effects=[edge],
        label="smooth curve",
        zorder=5,
    )
