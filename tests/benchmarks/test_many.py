"""The benchmark of many series: what it simulates, and that its times are those of forecasts."""

from __future__ import annotations

import numpy as np

from benchmarks.forecasting.many import first_forecast, simulated, warm_forecasts
from bptt.forecast import Forecaster
from tests.forecast.panels import NETWORK


def test_series_of_a_season_and_times_that_are_measured() -> None:
    panel = simulated(3, 400, 5)
    assert [len(line) for line in panel] == [400] * 3
    for line in panel:
        y = (line.y - line.y.mean()) / line.y.std()
        assert np.mean((y[24:] - y[:-24]) ** 2) < np.mean((y[11:] - y[:-11]) ** 2)
    model = Forecaster(horizon=3, recipe=NETWORK).fit(simulated(1, 200, 0), progress=False)
    wall, processor = first_forecast(model, times=1)
    assert processor > 0
    assert wall > 0
    rows = model.fitted.rows
    asked, taken = warm_forecasts(model, times=2)
    assert asked > 0
    assert taken > 0
    assert model.fitted.rows == rows  # nothing is trained
