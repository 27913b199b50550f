"""Prediction intervals of a normal distribution: its size by the moment of the forecast, by maximum likelihood.

Where errors are normal these are the narrowest intervals of their coverage, and they reach levels that few held-out
forecasts cannot count. Where they are not, the coverage is what it happens to be.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from bptt.checks import Array
from bptt.forecast.fitting.intervals.bounds import LEVELS, Intervals
from bptt.forecast.fitting.intervals.conformal import FEW, SHRINK, fit_intervals, thinned

# Sizes move by less than this in the last step of the search.
_SETTLED, _MOST_STEPS = 1e-6, 50
_NORMAL = np.array([NormalDist().inv_cdf(level) for level in LEVELS])


def fit_normal(features: Array, errors: Array, floor: Array, slots: tuple[int, ...] = ()) -> Intervals:
    """Return the intervals; arguments as for `fit_intervals`, whose sizes are where the search begins.

    Notes
    -----
    With f the features of a forecast, e its error and s = exp(f w) its standard deviation, the negative log-likelihood
    log s + e^2 / 2 s^2 is convex in w. Fisher's scoring goes down it: the curvature to expect is 2 f f^T whatever w is,
    so one factorisation serves all steps ahead and all turns. A step that would climb is halved. Weights are held near
    the first ones as by `SHRINK` forecasts, but for the constant. Of fewer than `FEW` forecasts Student's t is told, as
    by `fit_intervals`.
    """
    kept = np.isfinite(errors).any(axis=1)
    first = fit_intervals(features, errors, floor, slots)
    if first.rows < FEW:
        return first
    features, errors = thinned(features[kept], errors[kept])
    known = np.isfinite(errors)
    squares = np.where(known, errors, 0.0) ** 2
    weights = first.weights.copy()
    start = _mean_square(features, squares, known, weights)
    # A step that no forecast has reached keeps its size, which is that of a walk.
    reached = known.any(axis=0)
    weights[0] += np.where(reached, 0.5 * np.log(np.where(reached, start, 1.0)), 0.0)
    if first.weights[1:].any():
        weights[:, reached] = _search(features, squares[:, reached], known[:, reached], weights[:, reached])
    return Intervals(weights, np.repeat(_NORMAL[:, None], errors.shape[1], axis=1), floor, first.rows)


def _mean_square(features: Array, squares: Array, known: Array, weights: Array) -> Array:
    """Return the mean square of errors divided by their sizes, at least the smallest normal number."""
    scaled = np.where(known, squares * np.exp(-2.0 * (features @ weights)), 0.0)
    found: Array = np.maximum(scaled.sum(axis=0) / np.maximum(known.sum(axis=0), 1), 1e-300)
    return found


def _search(features: Array, squares: Array, known: Array, weights: Array) -> Array:
    """Return the weights (G, K) at which the likelihood is largest."""
    near = weights.copy()
    pull = np.full((len(weights), 1), SHRINK)
    pull[0] = 0.0
    expected = 2.0 * features.T @ features
    expected[np.diag_indices(len(expected))] += np.maximum(pull[:, 0], 1e-9 * np.trace(expected))
    inverse = np.linalg.inv(expected)

    def cost(w: Array) -> Array:
        logs = features @ w
        each = np.where(known, logs + 0.5 * squares * np.exp(-2.0 * logs), 0.0)
        found: Array = each.sum(axis=0) + 0.5 * (pull * (w - near) ** 2).sum(axis=0)
        return found

    lowest = cost(weights)
    for _ in range(_MOST_STEPS):
        surplus = np.where(known, squares * np.exp(-2.0 * (features @ weights)) - 1.0, 0.0)
        step = inverse @ (features.T @ surplus - pull * (weights - near))
        for _ in range(30):
            reached = cost(weights + step)
            worse = ~(reached <= lowest)
            if not worse.any():
                break
            step[:, worse] *= 0.5
        step[:, worse] = 0.0
        weights = weights + step
        lowest = np.where(worse, lowest, reached)
        if np.abs(step).max() < _SETTLED:
            break
    return weights
