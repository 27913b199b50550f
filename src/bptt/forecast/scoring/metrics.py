"""How forecasts are judged, by horizon: errors, and how good their intervals are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array

METRICS = ("mae", "rmse", "mase", "smape", "pinball", "coverage", "interval_score")
# As they are called wherever they are shown.
NAMES = {
    "mae": "MAE",
    "rmse": "RMSE",
    "mase": "MASE",
    "smape": "sMAPE, %",
    "pinball": "pinball loss",
    "coverage": "interval covers, %",
    "interval_score": "interval score",
}


@dataclass(frozen=True, eq=False)
class Judged:
    """Forecasts of one method beside the truth; NaN where there is no forecast or no truth.

    Attributes
    ----------
    y, y_hat, low, high : ndarray float64 (n, K)
        In the unit of the target.
    scale : ndarray float64 (n,)
        Mean absolute error of the seasonal naive forecast on each series' training rows.
    """

    y: Array
    y_hat: Array
    low: Array
    high: Array
    scale: Array


def measure(judged: Judged, coverage: float) -> dict[str, Array]:
    """Return each of `METRICS` by horizon, float64 (K,); NaN where there is nothing to judge.

    Notes
    -----
    ::

        mase            |y - y_hat| / scale
        smape           200 |y - y_hat| / (|y| + |y_hat|), in percent; 0 where both are 0
        pinball         mean over the levels (1 - c)/2, 1/2, (1 + c)/2 of max(q (y - f), (q - 1) (y - f))
        coverage        share of low <= y <= high
        interval_score  (high - low) + 2/(1 - c) ((low - y)+ + (y - high)+)

    The scores are those of Hyndman and Koehler (2006) and Gneiting and Raftery (2007), section 6.2.
    """
    y, y_hat, low, high = judged.y, judged.y_hat, judged.low, judged.high
    error = y - y_hat
    size = np.abs(error)
    # The squares of very large and very small values are no numbers.
    largest = float(np.nanmax(size, initial=0.0)) or 1.0
    both = np.abs(y) + np.abs(y_hat)
    tail = (1 - coverage) / 2
    pinball = (_pinball(y - low, tail) + _pinball(error, 0.5) + _pinball(y - high, 1 - tail)) / 3
    inside = np.where(np.isfinite(y + low + high), (low <= y) & (y <= high), np.nan)
    missed = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    scale = np.where(judged.scale > 0, judged.scale, np.nan)[:, None]
    return {
        "mae": _mean(size),
        "rmse": np.sqrt(_mean((error / largest) ** 2)) * largest,
        "mase": _mean(size / scale),
        "smape": _mean(np.where(both > 0, 200 * size / np.where(both > 0, both, 1.0), 0.0 * size)),
        "pinball": _mean(pinball),
        "coverage": _mean(inside),
        "interval_score": _mean(high - low + missed / tail),
    }


def naive_scale(y: Array, period: int) -> float:
    """Return the mean absolute change over a season of training rows (T,), of one row where there is no season yet."""
    lag = period if len(y) > period else 1
    change = np.abs(y[lag:] - y[:-lag])
    change = change[np.isfinite(change)]
    return float(change.mean()) if len(change) else float("nan")


def _pinball(error: Array, level: float) -> Array:
    return np.maximum(level * error, (level - 1) * error)


def _mean(values: Array) -> Array:
    """Return the mean of what is there in each column, NaN in an empty one."""
    there = np.isfinite(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
