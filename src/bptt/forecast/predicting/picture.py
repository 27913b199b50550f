"""The picture of forecasts after the end of a history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.panel import Line, Panel
from bptt.forecast.predicting.following import follow
from bptt.forecast.predicting.places import in_units
from bptt.forecast.results import times_ahead
from bptt.plots.forecast_fan import forecast_fan
from bptt.plots.style import look_named, new_figure

# Series in one picture: more are too small to be read.
MOST_DRAWN = 12
_COVERAGES = (0.5, 0.9)
_COLUMNS = 3
_HEIGHT = 2.4  # inches a row of panels


def plot_forecasts(fitted: Fitted, lines: Sequence[Line], panel: Panel, rows: int | None) -> Any:
    """Return a matplotlib figure of the last rows of some lines and their forecasts, with intervals of 50 % and 90 %.

    A panel a line, each on its own scale; of many the first `MOST_DRAWN`, and a line that says how many are left out.
    """
    if len(lines) == 1:
        return _draw(fitted, lines[0], panel, rows).figure
    shown = lines[:MOST_DRAWN]
    look = look_named("light", "wide")
    columns = min(_COLUMNS, len(shown)) if len(shown) != 4 else 2
    down = -(-len(shown) // columns)
    figure = new_figure(look, height=_HEIGHT * down + 0.8)
    grid = figure.subplots(down, columns, squeeze=False).reshape(-1)
    for k, (line, ax) in enumerate(zip(shown, grid, strict=False)):
        _draw(fitted, line, panel, rows, ax=ax, legend=False)
        if k % columns:
            ax.set_ylabel("")
    for ax in grid[len(shown) :]:
        ax.set_visible(False)
    handles, names = grid[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside upper left", ncols=len(names), frameon=False, fontsize=look.size.font,
        labelcolor=look.theme.ink,
    )  # fmt: skip
    if len(lines) > len(shown):
        figure.supxlabel(left_out_words(len(lines)), fontsize=look.size.font, color=look.theme.ink)
    return figure


def left_out_words(count: int) -> str:
    """Return what a picture of so many series says of those that it does not show; "" where it shows all."""
    left = count - MOST_DRAWN
    return "" if left <= 0 else f"{MOST_DRAWN} of {count:,} series, the first; {left:,} are not shown"


def _draw(fitted: Fitted, line: Line, panel: Panel, rows: int | None, **look: Any) -> Any:
    K = fitted.trained.encoding.horizon
    shown = slice(-min(len(line), rows or max(4 * K, 48)), None)
    (followed,) = follow(fitted.trained, fitted.intervals, [line])
    levels = np.array([level for c in _COVERAGES for level in ((1 - c) / 2, (1 + c) / 2)])
    y_hat, found = in_units(fitted, followed, levels, around=True)
    times, ahead = line.times, times_ahead(line.times[-1], panel.step, K)
    if np.isnat(line.local).any():
        times, ahead = times.astype(np.int64), ahead.astype(np.int64)
    else:  # by the clock on the wall
        times, ahead = line.local[: len(line)], ahead + (line.local[len(line) - 1] - line.times[-1])
    return forecast_fan(
        times[shown],
        line.y[shown],
        ahead,
        y_hat,
        {c: (found[2 * k], found[2 * k + 1]) for k, c in enumerate(_COVERAGES)}
        if fitted.intervals.there
        else None,
        quantity=panel.target,
        title=line.id or None,
        **look,
    )
