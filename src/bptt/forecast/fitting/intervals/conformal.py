"""Conformal intervals: how wide by the hour, the season and the unrest of the moment, then calibrated.

The size of the errors on held-out rows is regressed on what is known when a forecast is made; the errors divided by
that size are of one kind, and their quantiles, taken with the correction of split conformal prediction, turn sizes
into intervals.
"""

from __future__ import annotations

import numpy as np

from bptt.checks import Array
from bptt.forecast.fitting.intervals.bounds import LEVELS, Intervals

# Of the log-size regression, in rows: a class with fewer of them is drawn to the mean of all.
SHRINK = 20.0
# Where the size is measured a second time, by hour and by month: errors are not of one shape at all hours, and it is
# the wide ones that an interval is made for. A class with so many rows goes half the way.
_TAIL, _TAIL_SHRINK = 0.9, 50.0
# With fewer held-out forecasts, or steps that none of them reaches, the size depends on the step alone, and the steps
# share their quantiles.
_POOL = 200
# With fewer errors than this their 5th and 95th percentiles would lie beyond the smallest and the largest of them.
FEW = 19
# Errors kept at most: rows times horizons.
_MOST = 4_000_000


def fit_intervals(features: Array, errors: Array, floor: Array, slots: tuple[int, ...] = ()) -> Intervals:
    """Calibrate on held-out errors.

    Parameters
    ----------
    features : ndarray (n, G)
        From `moments.moment`.
    errors : ndarray (n, K)
        Truth less forecast, scaled; NaN where the truth is missing.
    floor : ndarray (2,)
    slots : tuple of int
        Sizes of the classes in `features`, after its first column.
    """
    K = errors.shape[1]
    kept = np.isfinite(errors).any(axis=1)
    features, errors = features[kept], errors[kept]
    if len(errors) < FEW:
        return _from_few(features, errors, floor)
    features, errors = thinned(features, errors)
    count = len(errors)
    if not count:
        return Intervals(np.zeros((features.shape[1], K)), np.zeros((len(LEVELS), K)), floor, 0)
    known = np.asarray(np.isfinite(errors).any(axis=0))
    typical = np.full(K, np.nan)
    typical[known] = np.sqrt(np.nanmean(errors[:, known] ** 2, axis=0))
    typical = _beyond(typical, known)
    typical = np.where(np.isfinite(typical) & (typical > 0), typical, 1e-12)
    # A forecast that happens to be right must not count for much: its log would be far below all others.
    logs = np.log(np.abs(np.nan_to_num(errors, nan=0.0)) + 0.05 * typical)
    logs = np.where(np.isfinite(errors), logs, np.log(typical))
    if count >= _POOL and known.all():
        weights = _log_size(features, logs)
        _widen(weights, features, errors, slots)
        quantiles = _conformal(errors / np.exp(features @ weights), count)
    else:
        weights = np.zeros((features.shape[1], K))
        weights[0] = np.log(typical)
        # One column that holds the errors of all steps: K of them would be K times the work, and the memory.
        quantiles = np.repeat(_conformal((errors / typical).reshape(-1, 1), count), K, axis=1)
    return Intervals(weights, quantiles, floor, count)


def thinned(features: Array, errors: Array) -> tuple[Array, Array]:
    """Return every so many rows, where there are more errors than are kept."""
    stride = max(1, -(-errors.size // _MOST))
    return features[::stride], errors[::stride]


def _beyond(typical: Array, known: Array) -> Array:
    """Return the sizes with those of steps further ahead than any that was judged: a walk's, by the root of time."""
    last = int(np.flatnonzero(known)[-1])
    ahead = np.maximum(np.arange(1, len(typical) + 1) / (last + 1), 1.0)
    return np.where(ahead > 1.0, typical[last] * np.sqrt(ahead), typical)


def _from_few(features: Array, errors: Array, floor: Array) -> Intervals:
    """Return Student's t intervals around the forecast: of a handful of errors only the size can be told.

    Each step has a size of its own, but no step a smaller one than those before it, as where the few errors far ahead
    happen to be small. n errors have n degrees of freedom, their mean being known to be 0.
    """
    K = errors.shape[1]
    kept = np.isfinite(errors)
    squares, counts = np.where(kept, errors, 0.0) ** 2, kept.sum(axis=0)
    count = int(counts.max(initial=0))
    weights = np.zeros((features.shape[1], K))
    if not count:
        return Intervals(weights, np.zeros((len(LEVELS), K)), floor, 0)
    typical = np.maximum.accumulate(np.sqrt(squares.sum(axis=0) / np.maximum(counts, 1)))
    weights[0] = np.log(np.maximum(_beyond(typical, counts > 0), 1e-12))
    return Intervals(weights, np.repeat(_student(count)[:, None], K, axis=1), floor, count)


def _student(degrees: int) -> Array:
    """Return the quantiles of Student's t at `LEVELS`.

    Notes
    -----
    With t = sqrt(n) tan(a) the density of the angle is proportional to cos(a)^(n - 1), which is summed up on a grid.
    """
    angle = np.linspace(-np.pi / 2, np.pi / 2, 40_001)
    density = np.cos(angle).clip(0.0) ** (degrees - 1)
    summed = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    found: Array = np.sqrt(degrees) * np.tan(np.interp(LEVELS, summed / summed[-1], angle))
    return found


def _log_size(features: Array, logs: Array) -> Array:
    """Return the ridge regression of log-sizes on the features; the first feature, the constant, is free."""
    mean = features[:, 1:].mean(axis=0)
    centred, base = features[:, 1:] - mean, logs.mean(axis=0)
    gram = centred.T @ centred
    gram[np.diag_indices(len(gram))] += SHRINK
    slopes = np.linalg.solve(gram, centred.T @ (logs - base))
    return np.concatenate([(base - mean @ slopes)[None], slopes])


def _widen(weights: Array, features: Array, errors: Array, slots: tuple[int, ...]) -> None:
    """Adjust the classes' sizes, in place, until each has the same wide errors, relative to its size."""
    first = 1
    for size in slots:
        scaled = np.abs(errors) / np.exp(features @ weights)
        usual = np.nanquantile(scaled, _TAIL, axis=0)
        for column in range(first, first + size):
            rows = features[:, column] > 0
            count = int(rows.sum())
            if count >= 10:
                wide = np.nanquantile(scaled[rows], _TAIL, axis=0)
                share = count / (count + _TAIL_SHRINK)
                good = np.isfinite(wide) & (wide > 0) & (usual > 0)
                weights[column] += share * np.log(np.where(good, wide, 1.0) / np.where(good, usual, 1.0))
        first += size


def _conformal(scaled: Array, count: int) -> Array:
    """Return the quantiles (Q, K) of errors, each moved outwards by one rank in `count` + 1."""
    spread = (count + 1) / count
    outward = np.where(LEVELS < 0.5, LEVELS + (1 - spread) * (1 - LEVELS), LEVELS * spread)
    found = np.stack([
        np.quantile(column[np.isfinite(column)], np.clip(outward, 0.0, 1.0)) if np.isfinite(column).any()
        else np.zeros(len(LEVELS))
        for column in scaled.T
    ], axis=1)  # fmt: skip
    return np.maximum.accumulate(found, axis=0)
