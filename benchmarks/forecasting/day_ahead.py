"""Beijing, the next 24 hours from every hour of the test part, each hour ahead beside four rivals.

All are given the same columns and history: repeating the last value, the same hour of the day before, least squares
on the window, and boosted trees, one model for each hour ahead, with lags, hour, weekday and month. What is allowed at
each hour is the best of the rivals there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.forecasting.next_hour import WINDOW, lab_panel
from benchmarks.forecasting.series import data_file
from benchmarks.forecasting.table import Measured
from bptt.checks import Array
from bptt.data.weather.beijing import load_beijing
from bptt.forecast import Forecaster
from bptt.forecast.features.calendar import CYCLES, Calendar
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.fitting.readouts.heads import (
    Origins,
    Penalty,
    encode_panel,
    head_forecast,
    make_head,
    normal_equations,
    origin_features,
)
from bptt.forecast.fitting.trained import forecast_line
from bptt.forecast.panel import Line, Panel
from bptt.forecast.scoring.trees import has_trees, tree_forecast

HORIZON, DAY = 24, 24


def run(seed: int, threads: int | None) -> list[Measured]:
    """Return the error at each hour ahead, with the best rival's as what is allowed."""
    line, panel, train = lab_panel(load_beijing(data_file("beijing_pm25.csv")), "TEMP")
    model = Forecaster(horizon=HORIZON, seed=seed, threads=threads).fit(panel, progress=False)
    rows = np.arange(train + WINDOW - 1, len(line) - HORIZON)
    errors = rival_errors(model.fitted.trained.encoding, panel, line, rows, seed)
    own = root_mean_square(forecast_line(model.fitted.trained, line, rows), line, rows)
    found = []
    for k in range(HORIZON):
        best = min(errors, key=lambda name: errors[name][k])
        told = ", ".join(f"{name} {values[k]:.3f}" for name, values in errors.items())
        name = f"Beijing, {k + 1} h ahead"
        found.append(Measured(name, "RMSE, deg C", float(own[k]), float(errors[best][k]), None, told))
    return [
        *found,
        Measured("Beijing, 24 h, mean", "RMSE, deg C", float(own.mean()), None, None, model.verdict),
    ]


def root_mean_square(y_hat: Array, line: Line, rows: Array) -> Array:
    """Return the error (K,) of forecasts (n, K) made after these rows."""
    truth = line.y[rows[:, None] + np.arange(1, HORIZON + 1)]
    found: Array = np.sqrt(((y_hat - truth) ** 2).mean(axis=0))
    return found


def rival_errors(encoding: Encoding, panel: Panel, line: Line, rows: Array, seed: int) -> dict[str, Array]:
    """Return each rival's error (K,); trees only where scikit-learn is installed."""
    k = np.arange(1, HORIZON + 1)
    found = {
        "last value": root_mean_square(np.repeat(line.y[rows][:, None], HORIZON, axis=1), line, rows),
        "day before": root_mean_square(line.y[rows[:, None] - (-k % DAY)], line, rows),
    }
    lesson, whole = encode_panel(encoding, panel), encode_panel(encoding, replace(panel, lines=(line,)))
    training, test = Origins(lesson, [np.arange(WINDOW, len(y)) for y in lesson.y]), Origins(whole, [rows])
    head = make_head(encoding, normal_equations(encoding, lesson, None, 200_000), None, Penalty(np.inf, 4e-3))
    said = {"ridge": head_forecast(head, origin_features(encoding, test, None))}
    if has_trees():
        said["trees"] = tree_forecast(Calendar(CYCLES), training, test, seed, steps=k.tolist())
    scale, base = whole.lines[0].scale, line.y[rows[:, None] - encoding.anchors()]
    for name, y_hat in said.items():
        found[name] = root_mean_square(base + y_hat * encoding.target * scale, line, rows)
    return found
