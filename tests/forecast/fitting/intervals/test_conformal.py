"""Intervals: wide where errors are wide, calibrated, in order."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.forecast.fitting.intervals import conformal
from bptt.forecast.fitting.intervals.bounds import LEVELS, Intervals
from bptt.forecast.fitting.intervals.conformal import fit_intervals

SLOTS, OUTPUTS = (5, 3), 2
FLOOR = np.array([0.1, 0.1])


def features(rng: np.random.Generator, rows: int) -> np.ndarray:
    """One, classes of five hours and three months, two measures of unrest."""
    hour, month = rng.integers(0, 5, rows), rng.integers(0, 3, rows)
    return np.concatenate([
        np.ones((rows, 1)), np.eye(5)[hour], np.eye(3)[month], rng.standard_normal((rows, 2)),
    ], axis=1)  # fmt: skip


def errors(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Ten times as wide in the last hour as in the first, skewed, of other tails in one month, larger with unrest."""
    size = np.exp(x[:, 1:6] @ np.linspace(0, 2.3, 5) + 0.4 * x[:, -1])[:, None]
    heavy = x[:, [8]] > 0
    noise = np.where(heavy, rng.standard_t(3, (len(x), OUTPUTS)), rng.exponential(1.0, (len(x), OUTPUTS)) - 1)
    return size * noise * np.array([1.0, 3.0])


def test_every_hour_and_month_is_covered_as_asked(rng: np.random.Generator) -> None:
    x = features(rng, 9_000)
    made = fit_intervals(x, errors(rng, x), FLOOR, SLOTS)
    new = features(rng, 20_000)
    truth = errors(rng, new)
    low, high = made.offsets(new, np.array([0.05, 0.95]))
    inside = (low <= truth) & (truth <= high)
    np.testing.assert_allclose(inside.mean(axis=0), 0.9, rtol=0, atol=0.015)
    for column in range(1, 9):
        np.testing.assert_allclose(inside[new[:, column] > 0].mean(axis=0), 0.9, rtol=0, atol=0.06)
    width = (high - low).mean(axis=1)
    assert width[new[:, 5] > 0].mean() > 5 * width[new[:, 1] > 0].mean()


def test_quantiles_never_cross(rng: np.random.Generator) -> None:
    x = features(rng, 300)
    made = fit_intervals(x, errors(rng, x), FLOOR, SLOTS)
    levels = np.sort(rng.uniform(0, 1, 37))
    found = made.offsets(features(rng, 50), levels)
    assert found.shape == (37, 50, OUTPUTS)
    assert (np.diff(found, axis=0) >= 0).all()


def test_few_errors_are_moved_outwards_by_one_rank(rng: np.random.Generator) -> None:
    """With 19 errors the 95th percentile is the largest: the next one exceeds it in one case of twenty."""
    x = np.concatenate([np.ones((19, 1)), np.zeros((19, 2))], axis=1)
    e = rng.standard_normal((19, 1))
    made = fit_intervals(x, e, FLOOR)
    low, high = made.offsets(x[:1], np.array([0.05, 0.95]))[:, 0, 0]
    assert (low, high) == (pytest.approx(e.min(), rel=1e-12), pytest.approx(e.max(), rel=1e-12))


def test_missing_truth_and_no_errors_at_all(rng: np.random.Generator) -> None:
    x = features(rng, 400)
    e = errors(rng, x)
    e[::3, 1] = np.nan
    e[5] = np.nan
    made = fit_intervals(x, e, FLOOR, SLOTS)
    assert made.rows == 399
    assert np.isfinite(made.weights).all()
    assert np.isfinite(made.quantiles).all()
    none = fit_intervals(x[:0], e[:0], FLOOR, SLOTS)
    assert not none.offsets(x[:2], LEVELS).any()


def test_steps_beyond_those_judged_are_as_wide_as_a_walks(rng: np.random.Generator) -> None:
    x = features(rng, 400)
    e = np.full((400, 7), np.nan)
    e[:, :3] = rng.standard_normal((400, 3))
    low, high = fit_intervals(x, e, FLOOR, SLOTS).offsets(x[:1], np.array([0.1, 0.9]))[:, 0]
    assert (high[:3] - low[:3] > 2).all()
    np.testing.assert_allclose((high - low)[3:], (high - low)[2] * np.sqrt(np.arange(4, 8) / 3), rtol=1e-9)


def test_levels_beyond_those_kept_are_the_outermost() -> None:
    made = Intervals(np.zeros((1, 1)), np.arange(199.0)[:, None], FLOOR, 7)
    found = made.offsets(np.ones((1, 1)), np.array([0.0001, 0.0025, 0.005, 0.0075, 0.9999]))
    np.testing.assert_allclose(found[:, 0, 0], [0, 0, 0, 0.5, 198], rtol=0, atol=1e-9)


def test_shared_quantiles_are_taken_once(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that nothing reached: the errors of all steps stand in one column, not in one for each step."""
    sizes = []
    conformal_quantiles = conformal._conformal

    def spy(scaled, count):  # type: ignore[no-untyped-def]
        sizes.append(scaled.shape)
        return conformal_quantiles(scaled, count)

    monkeypatch.setattr(conformal, "_conformal", spy)
    y = np.full((301, 40), np.nan)
    y[:, :11] = rng.standard_normal((301, 11)) * np.arange(1, 12)
    found = fit_intervals(np.ones((301, 1)), y, np.ones(2))
    assert sizes == [(301 * 40, 1)]
    pooled = (y[:, :11] / np.sqrt((y[:, :11] ** 2).mean(axis=0))).ravel()
    median = found.quantiles[len(found.quantiles) // 2]
    np.testing.assert_allclose(median, np.quantile(pooled, 0.5 * 302 / 301), rtol=0, atol=1e-9)
