"""Ridge regression in pieces against one least-squares problem of another shape."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.learning.ridge import solve_ridge


def test_pieces_are_the_whole_as_stacked_least_squares(rng: np.random.Generator) -> None:
    n, F, K = 61, 7, 3
    features, targets = rng.standard_normal((n, F)) + 2, rng.standard_normal((n, K)) - 1
    ridge = rng.uniform(0.1, 3, F)
    pieces = [(features[a:b], targets[a:b]) for a, b in ((0, 1), (1, 40), (40, n))]
    weights, intercept = solve_ridge(pieces, ridge, K)
    # The penalty as F more rows, whose target is 0 and which the intercept does not reach.
    above = np.concatenate([features, np.ones((n, 1))], axis=1)
    below = np.concatenate([np.diag(np.sqrt(ridge)), np.zeros((F, 1))], axis=1)
    wanted = np.linalg.lstsq(
        np.concatenate([above, below]), np.concatenate([targets, np.zeros((F, K))]), rcond=None
    )[0]
    np.testing.assert_allclose(weights, wanted[:F], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(intercept, wanted[F], rtol=1e-11, atol=1e-13)


def test_features_far_from_0_are_as_good_as_near_ones(rng: np.random.Generator) -> None:
    """Pressures in Pa, years, time stamps: in sums of their squares what varies would drown."""
    n, F, K, offset = 200, 4, 2, 2.0**27
    near, ridge = np.round(rng.standard_normal((n, F)) * 1024) / 1024, np.full(F, 0.1)
    targets = rng.standard_normal((n, K))
    pieces = [slice(0, 50), slice(50, 51), slice(51, n)]
    wanted, level = solve_ridge([(near[p], targets[p]) for p in pieces], ridge, K)
    # Exact in float64: the same numbers, shifted.
    found, intercept = solve_ridge([(near[p] + offset, targets[p]) for p in pieces], ridge, K)
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(intercept + offset * found.sum(axis=0), level, rtol=0, atol=1e-6)


def test_fewer_examples_than_features_need_a_ridge(rng: np.random.Generator) -> None:
    features, targets = rng.standard_normal((6, 6)), rng.standard_normal((6, 1))
    with pytest.raises(np.linalg.LinAlgError):
        solve_ridge([(features, targets)], np.zeros(6), 1)
    assert np.isfinite(solve_ridge([(features, targets)], np.full(6, 1e-3), 1)[0]).all()
