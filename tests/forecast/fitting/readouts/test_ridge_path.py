"""Ridge in closed form, against least squares on rows written out."""

from __future__ import annotations

import numpy as np

from bptt.forecast.fitting.readouts.ridge_path import solve, sums

ROWS, WIDTH, OUTPUTS = 57, 5, 3
# Normal equations of nearly independent columns lose a few digits.
RTOL, ATOL = 1e-8, 1e-10


def test_the_solution_is_that_of_the_augmented_rows(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((ROWS, WIDTH)) + 2, rng.standard_normal((ROWS, OUTPUTS)) - 1
    weights = rng.uniform(0.2, 2.0, ROWS)
    ridge = np.array([0.1, 0.0, np.inf, 0.02, 3.0])
    normal = sums(x[:20], y[:20], weights[:20]) + sums(x[20:], y[20:], weights[20:])
    found = solve(normal, ridge)

    kept = [0, 1, 3, 4]
    n = weights.sum()
    root = np.sqrt(weights)[:, None]
    design = np.concatenate([
        np.concatenate([root * x[:, kept], root], axis=1),
        np.concatenate([np.diag(np.sqrt(n * np.maximum(ridge[kept], 1e-9))), np.zeros((4, 1))], axis=1),
    ])  # fmt: skip
    wanted = np.linalg.lstsq(design, np.concatenate([root * y, np.zeros((4, OUTPUTS))]), rcond=None)[0]
    np.testing.assert_allclose(found.weights[kept], wanted[:4], rtol=RTOL, atol=ATOL)
    np.testing.assert_allclose(found.intercept, wanted[4], rtol=RTOL, atol=ATOL)
    assert not found.weights[2].any()
    np.testing.assert_allclose(found(x)[7], x[7] @ found.weights + found.intercept, rtol=RTOL, atol=ATOL)


def test_columns_that_repeat_each_other_do_no_harm(rng: np.random.Generator) -> None:
    x = rng.standard_normal((ROWS, 1))
    both = np.concatenate([x, x, np.ones((ROWS, 1))], axis=1)
    y = 3 * x
    found = solve(sums(both, y, np.ones(ROWS)), np.full(3, 1e-6))
    np.testing.assert_allclose(found(both), y, rtol=0, atol=1e-4)


def test_everything_left_out_is_the_mean(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((ROWS, WIDTH)), rng.standard_normal((ROWS, OUTPUTS))
    found = solve(sums(x, y, np.ones(ROWS)), np.full(WIDTH, np.inf))
    np.testing.assert_allclose(found.intercept, y.mean(axis=0), rtol=RTOL, atol=ATOL)
