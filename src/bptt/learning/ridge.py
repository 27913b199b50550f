"""Ridge regression from sums that are gathered a piece at a time, so that no matrix of all features is ever held."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bptt.checks import Array


def solve_ridge(chunks: Iterable[tuple[Array, Array]], ridge: Array, outputs: int) -> tuple[Array, Array]:
    """Return weights (F, K) and intercept (K,) of the ridge regression over all chunks.

    Parameters
    ----------
    chunks : iterable of (ndarray (n, F), ndarray (n, K))
        Features and targets, float64.
    ridge : ndarray (F,)
        Added to the diagonal of the normal equations; the intercept is not penalised.
    outputs : int
        K.

    Notes
    -----
    With centred features Phi and targets z: w = (Phi^T Phi + diag(ridge))^{-1} Phi^T z. Sums are taken around the first
    piece's mean: of features far from 0 the squares would else drown what varies.

    Raises
    ------
    numpy.linalg.LinAlgError
        The equations are singular: by what a factorisation meets, or because there are no more examples than features
        and no ridge.
    """
    size = len(ridge)
    gram, moment = np.zeros((size, size)), np.zeros((size, outputs))
    feature_sum, target_sum, count = np.zeros(size), np.zeros(outputs), 0
    origin: Array | None = None
    for raw, target in chunks:
        origin = raw.mean(axis=0) if origin is None else origin
        features = raw - origin
        gram += features.T @ features
        moment += features.T @ target
        feature_sum += features.sum(axis=0)
        target_sum += target.sum(axis=0)
        count += len(features)
    if count <= size and not ridge.any():
        raise np.linalg.LinAlgError
    mean, target_mean = feature_sum / count, target_sum / count
    centred = gram - count * np.outer(mean, mean)
    centred[np.diag_indices(size)] += ridge
    weights = np.linalg.solve(centred, moment - count * np.outer(mean, target_mean))
    return weights, target_mean - (mean + (0.0 if origin is None else origin)) @ weights
