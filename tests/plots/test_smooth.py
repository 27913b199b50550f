"""The smoother is a weighted straight line around each place, and nothing else."""

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.smooth import smooth_curve

ROUNDING = 1e-11  # a handful of float64 operations on numbers of order 10


def by_least_squares(x, y, place, neighbours):
    """Do the same with numpy's solver: minimise the weighted squared error of a + b (x - place)."""
    distance = np.abs(x - place)
    reach = 1.001 * np.sort(distance)[neighbours - 1]
    weight = np.where(distance < reach, (1 - (distance / reach) ** 3) ** 3, 0.0)
    root = np.sqrt(weight)
    design = np.stack([np.ones_like(x), x - place], axis=1)
    return np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0][0]


@pytest.mark.parametrize("span", [0.1, 0.37, 1.0])
def test_a_line_is_kept_exactly(rng, span):
    x = rng.gamma(2.0, 3.0, 211)
    grid, fitted = smooth_curve(x, 1.7 - 2.3 * x, span=span)
    assert grid.shape == fitted.shape == (60,)
    assert grid[0] == x.min()
    assert grid[-1] == x.max()
    np.testing.assert_allclose(fitted, 1.7 - 2.3 * grid, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(("count", "span", "points"), [(83, 0.3, 60), (400, 0.07, 31), (17, 1.0, 5)])
def test_agrees_with_weighted_least_squares(rng, count, span, points):
    x = rng.normal(size=count)
    y = np.sin(2 * x) + rng.normal(size=count)
    grid, fitted = smooth_curve(x, y, span=span, points=points)
    neighbours = int(np.ceil(span * count))
    expected = [by_least_squares(x, y, place, neighbours) for place in grid]
    np.testing.assert_allclose(fitted, expected, rtol=0, atol=1e-9)  # the solver's own rounding


def test_a_quadratic_is_raised_by_the_mean_square_distance():
    # On an even grid the weights are symmetric inside, so the line through x^2 lies above it at g by
    # sum w d^2 / sum w, the same everywhere.
    x = np.linspace(-3, 3, 601)
    grid, fitted = smooth_curve(x, x**2, span=101 / 601, points=61)
    inner = np.abs(grid) < 2.4
    offset = np.arange(-50, 51) * 0.01
    weight = (1 - (np.abs(offset) / (1.001 * 0.5)) ** 3) ** 3
    expected = grid**2 + (weight @ offset**2) / weight.sum()
    np.testing.assert_allclose(fitted[inner], expected[inner], rtol=0, atol=ROUNDING)
    assert (fitted[inner] > grid[inner] ** 2 + 0.02).all()


def test_a_smaller_span_follows_a_bend_more_closely(rng):
    x = rng.uniform(-3, 3, 3000)
    y = np.abs(x) + 0.1 * rng.normal(size=3000)
    error = {}
    for span in (0.1, 0.6):
        grid, fitted = smooth_curve(x, y, span=span)
        error[span] = np.abs(fitted - np.abs(grid)).max()
    assert error[0.1] < 0.5 * error[0.6]


def test_whole_degrees_with_places_half_way_between():
    # All neighbours of 0.5 lie equally far: the furthest must not weigh nothing.
    x = np.repeat([0.0, 1.0, 2.0, 3.0], 5)
    grid, fitted = smooth_curve(x, 2 * x + 1, span=0.25, points=7)
    np.testing.assert_allclose(fitted, 2 * grid + 1, rtol=0, atol=ROUNDING)


def test_as_many_equal_x_as_neighbours_give_their_mean(rng):
    x = np.concatenate([np.zeros(40), [5.0, 6.0]])
    y = rng.normal(size=42)
    _, fitted = smooth_curve(x, y, span=0.5)
    np.testing.assert_allclose(fitted[0], y[:40].mean(), rtol=0, atol=ROUNDING)


def test_all_x_equal_give_one_point(rng):
    y = rng.normal(size=9)
    grid, fitted = smooth_curve(np.full(9, 4.0), y)
    assert grid.tolist() == [4.0]
    np.testing.assert_allclose(fitted, [y.mean()], rtol=0, atol=ROUNDING)


def test_one_point():
    grid, fitted = smooth_curve(np.array([2.0]), np.array([7.0]))
    assert (grid.tolist(), fitted.tolist()) == ([2.0], [7.0])


def test_inputs_are_left_as_they_are(rng):
    x, y = rng.normal(size=50), rng.normal(size=50)
    x.flags.writeable = y.flags.writeable = False
    smooth_curve(x, y)


@pytest.mark.parametrize(
    ("x", "y", "options", "kind", "message"),
    [
        ([], [], {}, InvalidInput, "x must hold at least N = 1 point. Got none"),
        (
            [1, 2, 3],
            [1, 2],
            {},
            InvalidInput,
            r"y must have shape \(N\) = \(3\). Got \(2,\): x has that many",
        ),
        ([1, np.nan], [1, 2], {}, InvalidInput, "x and y must be finite"),
        ([1, 2], [np.inf, 2], {}, InvalidInput, "x and y must be finite"),
        ([1, 2], [1, 2], {"span": 0.0}, InvalidInput, "span must be above 0. Got 0.0"),
        ([1, 2], [1, 2], {"span": 1.5}, InvalidInput, "span must be at most 1. Got 1.5"),
        ([1, 2], [1, 2], {"points": 1}, InvalidInput, "points must be at least 2. Got 1"),
        (["a", "b"], [1, 2], {}, InvalidType, "x must hold numbers"),
    ],
)
def test_bad_input(x, y, options, kind, message):
    with pytest.raises(kind, match=message):
        smooth_curve(np.array(x), np.array(y), **options)
