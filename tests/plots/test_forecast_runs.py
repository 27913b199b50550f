"""Forecasts in a row beside what came: each over its own rows, with its interval."""

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.plots.forecast_runs import forecast_runs

HOURS = np.datetime64("2021-03-05T00", "h") + np.arange(23)


@pytest.fixture
def numbers(rng):
    truth, y_hat = rng.normal(size=23), rng.normal(size=(3, 5))
    return truth, y_hat, y_hat - rng.uniform(1, 2, (3, 5)), y_hat + rng.uniform(1, 2, (3, 5))


def test_each_forecast_lies_over_its_own_rows(numbers):
    truth, y_hat, low, high = numbers
    ax = forecast_runs(
        HOURS, truth, np.array([1, 7, 18]), y_hat, low, high, coverage=0.8, quantity="load, MW"
    )
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 5]
    for line, start, values in zip(lines, (1, 7, 18), y_hat, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), HOURS[start : start + 5])
        np.testing.assert_array_equal(line.get_ydata(), values)
    heights = ax.collections[1].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((low[1].min(), high[1].max()))
    (came,) = (line for line in ax.get_lines() if line.get_label() == "what came")
    np.testing.assert_array_equal(came.get_ydata(), truth)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "80 % interval",
        "forecast",
        "what came",
    ]
    assert ax.get_ylabel() == "load, MW"


def test_forecasts_of_one_row_are_joined(numbers):
    truth, y_hat, low, high = (each[..., :1] if each.ndim == 2 else each for each in numbers)
    ax = forecast_runs(
        np.arange(23), truth, np.array([3, 4, 9]), y_hat, low, high, theme="dark", size="narrow"
    )
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), [3, 4, 9])
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), y_hat[:, 0])


def test_what_does_not_fit_together(numbers):
    truth, y_hat, low, high = numbers
    with pytest.raises(
        InvalidInput, match=r"^times must have shape \(23,\), one for each value. Got \(22,\)$"
    ):
        forecast_runs(HOURS[1:], truth, np.array([1, 7, 18]), y_hat, low, high)
    with pytest.raises(InvalidInput, match=r"^starts must be n = 3 rows in 0..T - K = 18. Got \[ 1  7 19\]$"):
        forecast_runs(HOURS, truth, np.array([1, 7, 19]), y_hat, low, high)
    with pytest.raises(InvalidInput, match=r"^high must have shape \(n, K\) = \(3, 5\). Got \(3, 4\)$"):
        forecast_runs(HOURS, truth, np.array([1, 7, 18]), y_hat, low, high[:, 1:])
