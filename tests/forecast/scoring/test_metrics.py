"""Scores by horizon, against loops over the definitions."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.forecast.scoring.metrics import Judged, measure, naive_scale

ROWS, K, COVERAGE = 13, 3, 0.8


def test_every_metric_follows_its_definition(rng: np.random.Generator) -> None:
    y, y_hat = rng.standard_normal((ROWS, K)), rng.standard_normal((ROWS, K))
    low, high = y_hat - rng.uniform(0.1, 1, (ROWS, K)), y_hat + rng.uniform(0.1, 1, (ROWS, K))
    y[4, 1] = np.nan
    y[2, 0] = y_hat[2, 0] = 0.0
    scale = rng.uniform(0.5, 2, ROWS)
    found = measure(Judged(y, y_hat, low, high, scale), COVERAGE)
    for k in range(K):
        rows = [t for t in range(ROWS) if np.isfinite(y[t, k])]
        wanted: dict[str, list[float]] = {name: [] for name in found}
        for t in rows:
            e, a = y[t, k] - y_hat[t, k], abs(y[t, k] - y_hat[t, k])
            wanted["mae"].append(a)
            wanted["rmse"].append(e * e)
            wanted["mase"].append(a / scale[t])
            total = abs(y[t, k]) + abs(y_hat[t, k])
            wanted["smape"].append(200 * a / total if total else 0.0)
            pin = [
                max(q * (y[t, k] - f), (q - 1) * (y[t, k] - f))
                for q, f in ((0.1, low[t, k]), (0.5, y_hat[t, k]), (0.9, high[t, k]))
            ]
            wanted["pinball"].append(sum(pin) / 3)
            wanted["coverage"].append(float(low[t, k] <= y[t, k] <= high[t, k]))
            outside = max(low[t, k] - y[t, k], 0) + max(y[t, k] - high[t, k], 0)
            wanted["interval_score"].append(high[t, k] - low[t, k] + 2 / (1 - COVERAGE) * outside)
        for name, values in wanted.items():
            mean = np.mean(values)
            assert found[name][k] == pytest.approx(np.sqrt(mean) if name == "rmse" else mean, rel=1e-12), name


def test_the_naive_scale_is_a_season_or_a_row() -> None:
    y = np.array([1.0, 4.0, np.nan, 2.0, 8.0])
    assert naive_scale(y, 3) == pytest.approx((1 + 4) / 2)
    assert naive_scale(y, 9) == pytest.approx((3 + 6) / 2)


def test_what_was_not_forecast_is_not_judged() -> None:
    empty = np.full((2, 1), np.nan)
    found = measure(Judged(np.ones((2, 1)), empty, empty, empty, np.ones(2)), 0.9)
    assert all(np.isnan(values).all() for values in found.values())
