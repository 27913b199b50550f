"""Readout and linear path in closed form: one set of normal equations, any number of penalties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array


@dataclass(frozen=True, eq=False)
class Normal:
    """Sums over the training rows.

    Attributes
    ----------
    gram : ndarray float64 (W, W)
    moment : ndarray float64 (W, K)
    feature_sum, target_sum : ndarray float64 (W,), (K,)
    count : float
        Of rows, weighted.
    """

    gram: Array
    moment: Array
    feature_sum: Array
    target_sum: Array
    count: float

    def __add__(self, other: Normal) -> Normal:
        return Normal(
            self.gram + other.gram,
            self.moment + other.moment,
            self.feature_sum + other.feature_sum,
            self.target_sum + other.target_sum,
            self.count + other.count,
        )


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear forecast.

    Attributes
    ----------
    weights : ndarray float64 (W, K)
    intercept : ndarray float64 (K,)
    """

    weights: Array
    intercept: Array

    def __call__(self, features: Array) -> Array:
        """Return the forecasts (n, K) from features (n, W)."""
        found: Array = features @ self.weights + self.intercept
        return found

    def part(self, number: int, parts: int) -> Linear:
        """Return one of so many that stand beside each other."""
        if parts == 1:
            return self
        size = len(self.intercept) // parts
        own = slice(number * size, (number + 1) * size)
        return Linear(self.weights[:, own], self.intercept[own])


def sums(features: Array, y: Array, weights: Array) -> Normal:
    """Return the sums over rows (n, W) and (n, K), each counted by its weight (n,)."""
    # A matrix times its own transpose takes half the work of any other product of that size.
    root = None if bool((weights == 1).all()) else np.sqrt(weights)[:, None]
    features, y_root = (features, y) if root is None else (features * root, y * root)
    return Normal(
        features.T @ features,
        features.T @ y_root,
        features.sum(axis=0) if root is None else root[:, 0] @ features,
        weights @ y,
        float(weights.sum()),
    )


def solve(normal: Normal, ridge: Array, *, drift: bool = True) -> Linear:
    """Return the solution with these penalties (W,), each relative to the number of rows; inf leaves a feature out.

    Notes
    -----
    w = (F'F + n diag(ridge))^{-1} F'z of the centred features and targets; the intercept is not penalised. Without a
    drift nothing is centred, and the intercept is 0.
    """
    kept = np.isfinite(ridge)
    count = max(normal.count, 1.0)
    mean, target = normal.feature_sum[kept] / count, normal.target_sum / count
    if not drift:
        mean, target = np.zeros_like(mean), np.zeros_like(target)
    weights = np.zeros_like(normal.moment)
    if kept.any():
        centred = normal.gram[np.ix_(kept, kept)] - count * np.outer(mean, mean)
        # A floor keeps columns that repeat each other, or never change, from making the equations singular.
        centred[np.diag_indices(len(mean))] += count * np.maximum(ridge[kept], 1e-9)
        weights[kept] = np.linalg.solve(centred, normal.moment[kept] - count * np.outer(mean, target))
    return Linear(weights, target - mean @ weights[kept])
