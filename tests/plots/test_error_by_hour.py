"""Errors are those of the hour they are drawn at."""

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.error_by_hour import error_by_hour, errors_by_hour
from bptt.plots.style import LIGHT

ROUNDING = 1e-13  # sums of about 20 squares


@pytest.fixture
def data(rng):
    hours = rng.permutation(np.arange(500) % 24)
    truth = rng.normal(size=500)
    forecasts = {
        name: truth + scale * rng.normal(size=500) * (1 + hours)
        for name, scale in (("persistence", 2.0), ("least squares", 1.5), ("default", 1.0))
    }
    return hours, truth, forecasts


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_agrees_with_a_loop_over_the_hours(data, metric):
    hours, truth, forecasts = data
    got = errors_by_hour(hours, truth, forecasts["default"], metric=metric)
    for hour in range(24):
        error = (forecasts["default"] - truth)[hours == hour]
        expected = np.sqrt(np.mean(error**2)) if metric == "rmse" else np.mean(np.abs(error))
        np.testing.assert_allclose(got[hour], expected, rtol=ROUNDING, atol=0)


def test_an_hour_without_data_is_a_gap(data):
    hours, truth, forecasts = data
    kept = hours != 5
    got = errors_by_hour(hours[kept], truth[kept], forecasts["default"][kept])
    assert np.flatnonzero(np.isnan(got)).tolist() == [5]


def test_draws_each_method_over_the_hours(data):
    hours, truth, forecasts = data
    ax = error_by_hour(hours, truth, forecasts, unit="°C")
    lines = {line.get_label(): line for line in ax.lines}
    assert set(lines) == set(forecasts)
    for name, forecast in forecasts.items():
        np.testing.assert_array_equal(lines[name].get_xdata(), np.arange(24))
        np.testing.assert_array_equal(lines[name].get_ydata(), errors_by_hour(hours, truth, forecast))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("hour of the day", "RMSE, °C")


def test_the_axis_starts_at_zero_and_holds_every_error(data):
    ax = error_by_hour(*data)
    low, high = ax.get_ylim()
    assert low == 0
    assert high > max(line.get_ydata().max() for line in ax.lines)


def test_baselines_are_grey_and_differ_in_line_style(data):
    ax = error_by_hour(*data, baselines=("persistence", "least squares"), metric="mae")
    persistence, least_squares, default = ax.lines
    assert persistence.get_color() == least_squares.get_color() == LIGHT.baseline
    assert persistence.get_linestyle() != least_squares.get_linestyle()
    assert default.get_color() == LIGHT.colours[0]
    assert ax.get_ylabel() == "mean absolute error"


def test_a_perfect_forecast_can_be_drawn(data):
    hours, truth, _ = data
    assert error_by_hour(hours, truth, {"oracle": truth}).get_ylim()[1] > 0


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"hours": np.full(500, 24)}, InvalidInput, r"hours must lie in 0..23. Got 24 in row 0"),
        ({"hours": np.full(500, -1)}, InvalidInput, r"hours must lie in 0..23. Got -1 in row 0"),
        ({"hours": np.full(500, 1.0)}, InvalidType, "hours must be whole numbers. Got dtype float64"),
        ({"hours": np.full(9, 1)}, InvalidInput, r"hours must have shape \(N\) = \(500\). Got \(9,\)"),
        ({"truth": np.full(500, np.nan)}, InvalidInput, "truth must be finite. Got nan in row 0"),
        (
            {"forecasts": {"a": np.full(500, np.inf)}},
            InvalidInput,
            "forecast must be finite. Got inf in row 0",
        ),
        ({"metric": "mse"}, InvalidInput, "metric must be one of rmse, mae. Got 'mse'"),
        ({"baselines": ("naive",)}, InvalidInput, "baselines must be among the methods"),
    ],
)
def test_bad_input(data, change, kind, message):
    hours, truth, forecasts = data
    with pytest.raises(kind, match=message):
        error_by_hour(**({"hours": hours, "truth": truth, "forecasts": forecasts} | change))
