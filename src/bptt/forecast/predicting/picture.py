"""The picture of a forecast after the end of a history."""

from __future__ import annotations

from typing import Any

import numpy as np

from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.panel import Line, Panel
from bptt.forecast.predicting.following import follow
from bptt.forecast.predicting.places import in_units
from bptt.forecast.results import times_ahead
from bptt.plots.forecast_fan import forecast_fan

_COVERAGES = (0.5, 0.9)


def plot_forecast(fitted: Fitted, line: Line, panel: Panel, rows: int | None) -> Any:
    """Return a matplotlib figure of the last rows of a line and their forecast, with intervals of 50 % and 90 %."""
    K = fitted.trained.encoding.horizon
    shown = slice(-min(len(line), rows or max(4 * K, 48)), None)
    (followed,) = follow(fitted.trained, fitted.intervals, [line])
    levels = np.array([level for c in _COVERAGES for level in ((1 - c) / 2, (1 + c) / 2)])
    y_hat, found = in_units(fitted, followed, levels, around=True)
    ax = forecast_fan(
        line.times[shown],
        line.y[shown],
        times_ahead(line.times[-1], panel.step, K),
        y_hat,
        {c: (found[2 * k], found[2 * k + 1]) for k, c in enumerate(_COVERAGES)},
        quantity=panel.target,
        title=line.id or None,
    )
    return ax.figure
