"""Methods side by side: one bar each, and who beats the best baseline."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.numbers import decimals_for
from bptt.plots.records import check_all_finite, check_names, check_series
from bptt.plots.style import Look, axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]


def method_bars(
    scores: Mapping[str, float | Sequence[float] | Array],
    *,
    baselines: Collection[str] = (),
    variants: Mapping[str, str] | None = None,
    metric: str = "RMSE",
    unit: str = "",
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw a horizontal bar for each method, the best on top.

    Parameters
    ----------
    scores : mapping of str to float, or to several (seeds)
        Errors by method, smaller is better, not negative. Of several the bar is the mean, and the
        whisker goes from the smallest to the largest.
    baselines : collection of str
        Names among the scores that are drawn in grey. The best of them is a vertical line, and a
        model whose mean is above it is hatched and marked "loses to" it ("loses" where narrow).
    variants : mapping of str to str, optional
        Names among the scores, each with the model that it is a form of: it has that one's colour, paler.
    metric, unit : str
        What the scores are.
    title, theme, size, ax
        As in `learning_curve`.

    Returns
    -------
    matplotlib Axes
        The bars, `ax.patches`, are in the order of the mean.

    Raises
    ------
    InvalidInput, InvalidType
        No score, a negative one or one that is not finite; a baseline or a variant that is not among the scores.
    """
    values = _checked_scores(scores)
    grey = check_names("baselines", baselines, values)
    means = {name: float(many.mean()) for name, many in values.items()}
    forms = dict(variants or {})
    check_names("variants", [*forms, *forms.values()], values)
    models = [name for name in values if name not in grey and name not in forms]
    best = min(grey, key=lambda name: means[name], default=None)
    look = look_named(theme, size)
    row_height = 0.56 if look.is_narrow else 0.42
    is_new = ax is None
    ax = axes_or_new(ax, look, height=1.35 + row_height * len(values))
    ax.grid(False, axis="y")
    ax.grid(True, axis="x", color=look.theme.grid, linewidth=0.8)

    order = sorted(values, key=lambda name: means[name])
    decimals = decimals_for(float(np.median(list(means.values()))))
    for row, name in enumerate(order):
        colour = look.theme.baseline if name in grey else look.colour(models.index(forms.get(name, name)))
        loses_to = best if name not in grey and best is not None and means[name] > means[best] else None
        _draw_bar(ax, row, name, values[name], colour, loses_to, name in forms, decimals, look)
    highest = max(float(many.max()) for many in values.values())
    ax.set_xlim(0, 1.02 * highest or 1.0)
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    if look.is_narrow:
        ax.set_yticks([])
    else:
        ax.set_yticks(range(len(order)), [textwrap.fill(name, 26) for name in order])
    if best is not None:
        # The line that a model has to stay left of.
        ax.axvline(
            means[best],
            color=look.theme.ink,
            linewidth=1.1,
            linestyle=(0, (5, 3)),
            label=f"best baseline: {best}",
            zorder=4,
        )
    several = any(many.size > 1 for many in values.values())
    in_unit = f", {unit}" if unit else ""
    note = "\nwhiskers: smallest and largest over seeds" if several else ""
    finish(ax, look, title=title, x_label=f"{metric}{in_unit}{note}", y_label="", grow=is_new)
    # Text beside the bars may make the axes narrow: from the left edge the label has all the room.
    ax.xaxis.label.set_horizontalalignment("left")
    ax.xaxis.label.set_x(0.0)
    return ax


def _checked_scores(scores: Mapping[str, float | Sequence[float] | Array]) -> dict[str, Array]:
    if not isinstance(scores, Mapping):
        raise InvalidType(f"scores must map a name to one or several numbers. Got {type(scores).__name__}")
    if not scores:
        raise InvalidInput("scores must hold at least 1 method. Got none")
    checked = {}
    for name, value in scores.items():
        many = check_series(f"scores[{name!r}]", np.atleast_1d(np.asarray(value)))
        check_all_finite(f"scores[{name!r}]", many)
        if many.min() < 0:
            raise InvalidInput(f"scores[{name!r}] must be at least 0. Got {many.min():g}: bars show errors")
        checked[str(name)] = many
    return checked


def _draw_bar(
    ax: Axes,
    row: int,
    name: str,
    many: Array,
    colour: str,
    loses_to: str | None,
    pale: bool,
    decimals: int,
    look: Look,
) -> None:
    mean, low, high = float(many.mean()), float(many.min()), float(many.max())
    # In a narrow picture the names stand over the bars.
    place, thickness = (row + 0.17, 0.4) if look.is_narrow else (row, 0.6)
    ax.barh(
        place,
        mean,
        height=thickness,
        facecolor=look.theme.background if loses_to else colour,
        edgecolor=colour,
        hatch="////" if loses_to else None,
        linewidth=1.2,
        alpha=0.55 if pale else None,
        zorder=2,
    )
    if many.size > 1:
        ax.errorbar(
            mean,
            place,
            xerr=[[mean - low], [high - mean]],
            color=look.theme.ink,
            elinewidth=1.3,
            capsize=3.5,
            capthick=1.3,
            fmt="none",
            zorder=5,
        )
    text = {"fontsize": look.size.font, "va": "center"}
    number = ax.annotate(
        f"{mean:.{decimals}f}",
        xy=(high, place),
        xytext=(6, 0),
        textcoords="offset points",
        color=look.theme.ink,
        fontweight="bold" if row == 0 else "normal",
        **text,  # type: ignore[arg-type]
    )
    if loses_to:
        ax.annotate(
            "loses" if look.is_narrow else f"loses to {loses_to}",
            xy=(1, 0.5),
            xycoords=number,
            xytext=(7, 0),
            textcoords="offset points",
            color=look.theme.warning,
            fontweight="bold",
            **text,  # type: ignore[arg-type]
        )
    if look.is_narrow:
        paper = {"boxstyle": "square,pad=0.1", "facecolor": look.theme.background, "edgecolor": "none"}
        ax.annotate(name, (0, row - 0.24), color=look.theme.ink, bbox=paper, zorder=6, **text)  # type: ignore[arg-type]
