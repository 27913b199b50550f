"""Boosted trees with lags and calendar, a strong rival: there where scikit-learn is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.encoding import Encoded
from bptt.forecast.fitting.readouts.heads import Origins

# Steps of the horizon that are fitted where there are many, rows of each fit, and trees.
_STEPS, _ROWS, _TREES = 8, 40_000, 200
_LAGS = (*range(24), 47, 71, 95, 119, 143, 167)


def has_trees() -> bool:
    """Return whether scikit-learn can be imported."""
    return importlib.util.find_spec("sklearn") is not None


def chosen_steps(horizon: int) -> list[int]:
    """Return the steps (1..K) that trees are fitted for: all of a few, of many eight that grow like a root."""
    if horizon <= _STEPS:
        return list(range(1, horizon + 1))
    return sorted({round(1 + (horizon - 1) * (k / (_STEPS - 1)) ** 2) for k in range(_STEPS)})


def tree_forecast(
    calendar: Calendar,
    training: Origins,
    test: Origins,
    seed: int,
    steps: Sequence[int] | None = None,
    threads: int = 1,
) -> Array:
    """Return forecasts (n, K) of the test origins, in the network's units; NaN at the steps that were left out.

    `steps` (1..K) are those of `chosen_steps` unless given; `threads` of them are fitted at a time.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    y, _ = training.truth()
    x = _features(calendar, training)
    stride = max(1, -(-len(x) // _ROWS))
    x, y = x[::stride], y[::stride]
    unseen = _features(calendar, test)
    found = np.full((len(unseen), y.shape[1]), np.nan)

    def fit(k: int) -> None:
        model = HistGradientBoostingRegressor(max_iter=_TREES, learning_rate=0.07, random_state=seed)
        # A tree is thousands of short loops: OpenMP's threads wait for each other at the end of each, for minutes
        # altogether where another program has one of their processors. Steps side by side never wait.
        with threadpool_limits(limits=1, user_api="openmp"):
            found[:, k - 1] = model.fit(x, y[:, k - 1]).predict(unseen)

    wanted = chosen_steps(y.shape[1]) if steps is None else steps
    if threads == 1 or len(wanted) == 1:
        for k in wanted:
            fit(k)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fit, wanted))
    return found


def _features(calendar: Calendar, origins: Origins) -> Array:
    parts = []
    for line, rows in zip(origins.lesson.lines, origins.rows, strict=True):
        parts.append(_of_line(calendar, line, rows))
    return np.concatenate(parts)


def _of_line(calendar: Calendar, line: Encoded, rows: Array) -> Array:
    """Return the inputs of the row, older values as far as the model itself reads, hour, weekday and month (n, F)."""
    last = line.before + rows
    lags = [lag for lag in _LAGS if lag < line.before]
    columns = [line.x[rows], line.z[last[:, None] - np.array(lags)]]
    near = np.arange(min(24, line.before))
    columns.append(line.p[last[:, None] - near].reshape(len(rows), near.size * line.p.shape[1]))
    columns += [classes[:, None] for classes in calendar.classes(line.local[rows])]
    return np.concatenate(columns, axis=1)
