"""The fan: a history, a forecast after it, the widest interval at the back."""

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.plots.forecast_fan import forecast_fan

HOURS = np.datetime64("2021-03-05T00", "h") + np.arange(37)


@pytest.fixture
def numbers(rng):
    return rng.normal(size=30), rng.normal(size=7)


def test_history_forecast_and_intervals_are_drawn(numbers):
    history, y_hat = numbers
    intervals = {0.5: (y_hat - 1, y_hat + 2), 0.95: (y_hat - 3, y_hat + 4)}
    ax = forecast_fan(HOURS[:30], history, HOURS[30:], y_hat, intervals, quantity="load, MW", title="north")
    drawn = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    np.testing.assert_array_equal(drawn["history"], history)
    np.testing.assert_array_equal(drawn["forecast"], y_hat)
    named = {each.get_label(): each.get_facecolor()[3] for each in ax.patches}
    assert list(named) == ["95 % interval", "50 % interval"]
    # As dark in the legend as where one lies on the other.
    assert list(named.values()) == pytest.approx([0.22, 1 - 0.78**2])
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx(((y_hat - 3).min(), (y_hat + 4).max()))
    assert ax.get_ylabel() == "load, MW"


def test_one_step_is_a_point(numbers):
    history, y_hat = numbers
    ax = forecast_fan(np.arange(30), history, np.array([30]), y_hat[:1])
    assert ax.get_lines()[1].get_marker() == "o"


def test_lengths_that_do_not_fit(numbers):
    history, y_hat = numbers
    with pytest.raises(
        InvalidInput, match=r"^times must have shape \(30,\), one for each value. Got \(29,\)$"
    ):
        forecast_fan(HOURS[:29], history, HOURS[30:], y_hat)
    with pytest.raises(InvalidInput, match=r"^ahead must have shape \(7,\), one for each value. Got \(6,\)$"):
        forecast_fan(HOURS[:30], history, HOURS[31:], y_hat)
    with pytest.raises(InvalidInput, match=r"^low must have shape \(K\) = \(7\). Got \(6,\)$"):
        forecast_fan(HOURS[:30], history, HOURS[30:], y_hat, {0.9: (y_hat[1:], y_hat)})
