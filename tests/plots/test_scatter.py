"""The scatter shows every pair, the line of equality, and the smooth curve through the pairs."""

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.scatter import scatter
from bptt.plots.smooth import smooth_curve


def labelled(ax, label):
    return next(line for line in ax.lines if line.get_label() == label)


@pytest.fixture
def pairs(rng):
    truth = rng.normal(10, 4, 311)
    return truth, 0.8 * truth + 1 + rng.normal(size=311)


def test_truth_runs_across_and_the_forecast_up(pairs):
    truth, prediction = pairs
    ax = scatter(truth, prediction, unit="°C")
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), np.stack([truth, prediction], axis=1))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("truth, °C", "forecast, °C")


def test_the_curve_is_the_smoother_s(pairs):
    ax = scatter(*pairs, span=0.4)
    grid, fitted = smooth_curve(*pairs, span=0.4)
    curve = labelled(ax, "smooth curve")
    np.testing.assert_array_equal(curve.get_xdata(), grid)
    np.testing.assert_array_equal(curve.get_ydata(), fitted)


def test_the_identity_goes_from_corner_to_corner_on_equal_scales(pairs):
    ax = scatter(*pairs)
    line = labelled(ax, "forecast = truth")
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())
    np.testing.assert_allclose(ax.get_xlim(), ax.get_ylim(), rtol=0, atol=0)
    np.testing.assert_allclose(line.get_xdata(), ax.get_xlim(), rtol=1e-15, atol=0)
    ax.figure.canvas.draw()
    box = ax.get_window_extent()
    np.testing.assert_allclose(box.width, box.height, rtol=1e-9, atol=0)
    low, high = ax.get_xlim()
    assert low < min(np.min(p) for p in pairs)
    assert high > max(np.max(p) for p in pairs)


def test_the_corner_tells_error_and_count(pairs):
    truth, prediction = pairs
    rmse = np.sqrt(np.mean((truth - prediction) ** 2))
    assert 1 < rmse < 10
    ax = scatter(truth, prediction, unit="°C")
    assert ax.texts[0].get_text() == f"RMSE {rmse:.3f} °C\n311 points"


def test_a_crowd_is_drawn_fainter(rng):
    few, many = (rng.normal(size=count) for count in (50, 9000))
    alpha = [scatter(t, t + 1).collections[0].get_alpha() for t in (few, many)]
    assert alpha[0] > 0.6
    assert 0.1 < alpha[1] < 0.3


def test_more_than_20000_points_are_counted_in_hexagons(rng):
    truth = rng.normal(size=20_001)
    ax = scatter(truth, truth + rng.normal(size=20_001))
    hexagons = ax.collections[0]
    assert hexagons.get_array().sum() == 20_001
    assert hexagons.get_array().min() >= 1
    assert ax.texts[0].get_text().endswith("20,001 points")
    assert ax.figure.axes[1].get_ylabel() == "points in a hexagon"
    ax.figure.canvas.draw()


def test_exactly_20000_points_are_dots(rng):
    truth = rng.normal(size=20_000)
    assert len(scatter(truth, truth).collections[0].get_offsets()) == 20_000


@pytest.mark.parametrize("count", [1, 2])
def test_a_perfect_constant_forecast_can_be_drawn(count):
    ax = scatter(np.full(count, 3.0), np.full(count, 3.0))
    ax.figure.canvas.draw()
    assert "RMSE 0.000" in ax.texts[0].get_text()


@pytest.mark.parametrize(
    ("truth", "prediction", "kind", "message"),
    [
        ([], [], InvalidInput, "truth must hold at least N = 1 value. Got none"),
        ([1.0, 2.0], [1.0], InvalidInput, r"'prediction'\] must have shape \(N\) = \(2\). Got \(1,\)"),
        ([1.0, np.nan], [1.0, 2.0], InvalidInput, "truth must be finite. Got nan in row 1: leave out rows"),
        ([1.0, 2.0], [-np.inf, 2.0], InvalidInput, "prediction must be finite. Got -inf in row 0"),
        (["a"], [1.0], InvalidType, "truth must hold numbers"),
    ],
)
def test_bad_input(truth, prediction, kind, message):
    with pytest.raises(kind, match=message):
        scatter(np.array(truth), np.array(prediction))
