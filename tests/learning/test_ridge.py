"""Ridge regression in pieces against one least-squares problem of another shape."""

from __future__ import annotations

import numpy as np

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
