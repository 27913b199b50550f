"""The bars of the forecaster on five years of Beijing's weather: the last fifth is forecast, as in the lab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bptt.data import split_days
from bptt.data.weather.beijing import load_beijing
from bptt.forecast import Forecaster
from bptt.forecast.features.encoding import encode
from bptt.forecast.fitting.intervals.moments import moment
from bptt.forecast.panel import Line, Panel
from bptt.forecast.pieces import cut

HOUR = np.timedelta64(3600, "s")
# Of the lab's test windows, the first of which sees 24 hours of the test part.
WINDOW = 24


def beijing(path: Path) -> tuple[Panel, int]:
    table = load_beijing(path)
    train = split_days(len(table)).train.stop
    target = table.columns.index("TEMP")
    past = tuple(name for name in table.columns if name != "TEMP")
    values = table.values[:, [table.columns.index(name) for name in past]]
    assert table.times is not None
    times = table.times.astype("datetime64[s]")
    line = Line("", times, times, table.values[:, target], values, np.zeros((len(times), 0)), np.zeros(0))
    return Panel((line,), "TEMP", past, (), (), HOUR), train


def forecasts(model: Forecaster, line: Line, first: int, horizon: int) -> tuple[np.ndarray, ...]:
    """Return truth, forecasts and 90 % bounds (n, K) of the test rows, and the time of the first target."""
    trained, intervals = model.fitted.trained, model.fitted.intervals
    rows = np.arange(first + WINDOW - 1, len(line) - horizon)
    encoded = encode(trained.encoding, line)
    z = trained.forecast(encoded, rows)
    low, high = intervals.offsets(
        moment(trained.encoding.calendar, intervals.floor, encoded, rows), np.array([0.05, 0.95])
    )
    y = line.y[rows[:, None] + np.arange(1, horizon + 1)]
    return y, *(trained.in_units(encoded, z + each) for each in (0.0, low, high)), line.times[rows + 1]


@pytest.mark.slow
def test_the_next_hour(data_file: Callable[[str], Path]) -> None:
    panel, train = beijing(data_file("beijing_pm25.csv"))
    line = panel.lines[0]
    errors = []
    for seed in range(3):
        model = Forecaster(seed=seed).fit(replace(panel, lines=(cut(line, 0, train),)), progress=False)
        y, y_hat, low, high, times = (
            each if each.ndim == 1 else each[:, 0] for each in forecasts(model, line, train, 1)
        )
        errors.append(np.sqrt(np.mean((y_hat - y) ** 2)))
        inside = (low <= y) & (y <= high)
        assert 0.88 <= inside.mean() <= 0.92
        hour = (times - times.astype("datetime64[D]")) // HOUR
        month = times.astype("datetime64[M]").astype(int) % 12
        assert min(inside[hour == h].mean() for h in range(24)) >= 0.85
        assert min(inside[month == m].mean() for m in range(12)) >= 0.85
        score = high - low + 20 * (np.maximum(low - y, 0) + np.maximum(y - high, 0))
        assert score.mean() <= 5.2
    assert np.mean(errors) <= 1.07


# RMSE in deg C on the same test rows of the best rival at each hour ahead, given the same history and calendar, as
# `python -m benchmarks.forecasting --job day` finds them: boosted trees, one model a step, up to 15 hours, then ridge
# on the window of a week; never the last value nor the same hour of the day before.
RIVALS = (
    1.105, 1.429, 1.676, 1.881, 2.025, 2.193, 2.307, 2.396,
    2.488, 2.551, 2.603, 2.652, 2.685, 2.713, 2.735, 2.762,
    2.774, 2.786, 2.799, 2.813, 2.830, 2.847, 2.866, 2.885,
)  # fmt: skip


@pytest.mark.slow
def test_a_day_ahead_at_every_step(data_file: Callable[[str], Path]) -> None:
    panel, train = beijing(data_file("beijing_pm25.csv"))
    line = panel.lines[0]
    model = Forecaster(horizon=24).fit(replace(panel, lines=(cut(line, 0, train),)), progress=False)
    y, y_hat, _, _, _ = forecasts(model, line, train, 24)
    rmse = np.sqrt(np.mean((y_hat - y) ** 2, axis=0))
    assert (rmse < RIVALS).all(), rmse - RIVALS
    assert model.check_alignment().sound
