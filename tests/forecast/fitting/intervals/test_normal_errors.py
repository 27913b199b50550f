"""Intervals of normal distributions: the likeliest sizes, and what they leave to the quantiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.forecast import Forecaster, Recipe
from bptt.forecast.fitting.intervals.conformal import SHRINK, fit_intervals
from bptt.forecast.fitting.intervals.normal_errors import fit_normal
from bptt.forecast.saving.facts import describe_model, too_few_for
from bptt.models import load
from tests.forecast.fitting.intervals.test_conformal import FLOOR, OUTPUTS, SLOTS, features
from tests.forecast.panels import TINY, make_panel


def log_sizes(x: np.ndarray) -> np.ndarray:
    """Ten times as wide in the last hour as in the first, a little wider in one month, larger with unrest."""
    hours, months = x[:, 1:6] @ np.linspace(0, 2.3, 5), x[:, 6:9] @ np.array([0.0, 0.1, 0.4])
    return (hours + months + 0.3 * x[:, -1])[:, None] + np.array([0.0, 1.0])


def normal(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return np.exp(log_sizes(x)) * rng.standard_normal((len(x), OUTPUTS))


def test_sizes_are_those_of_the_errors(rng: np.random.Generator) -> None:
    x, new = features(rng, 9_000), features(rng, 20_000)
    made = fit_normal(x, normal(rng, x), FLOOR, SLOTS)
    np.testing.assert_allclose(new @ made.weights, log_sizes(new), rtol=0, atol=0.12)
    low, high = made.offsets(new, np.array([0.05, 0.95]))
    truth = normal(rng, new)
    inside = (low <= truth) & (truth <= high)
    for column in range(1, 9):
        np.testing.assert_allclose(inside[new[:, column] > 0].mean(axis=0), 0.9, rtol=0, atol=0.025)
    np.testing.assert_allclose(low, -high, rtol=1e-9)


def test_nothing_near_is_likelier(rng: np.random.Generator) -> None:
    x = features(rng, 500)
    e = normal(rng, x)
    e[::3, 1] = np.nan
    made = fit_normal(x, e, FLOOR, SLOTS)
    first = fit_intervals(x, e, FLOOR, SLOTS)
    start = first.weights.copy()
    scale = np.nanmean((e / np.exp(x @ start)) ** 2, axis=0)
    start[0] += 0.5 * np.log(scale)

    def cost(weights: np.ndarray) -> np.ndarray:
        logs = x @ weights
        each = np.nansum(logs * np.isfinite(e) + e**2 * np.exp(-2 * logs) / 2, axis=0)
        return each + SHRINK / 2 * ((weights - start)[1:] ** 2).sum(axis=0)

    least = cost(made.weights)
    assert (least < cost(start) - 0.5).all()
    for column in range(made.weights.shape[0]):
        for moved in (0.02, -0.02):
            other = made.weights.copy()
            other[column] += moved
            assert (cost(other) > least).all()


def test_a_single_wild_error_leads_to_no_wild_size(rng: np.random.Generator) -> None:
    x = features(rng, 300)
    e = normal(rng, x)
    e[7] = 1e6
    made = fit_normal(x, e, FLOOR, SLOTS)
    assert np.isfinite(made.weights).all()
    assert (made.offsets(x, np.array([0.95])) < 1e7).all()


def test_heavy_tails_do_not_throw_the_search(rng: np.random.Generator) -> None:
    """One error in a hundred is ten thousand times as large: a step of full length would leave the finite numbers."""
    x = features(rng, 300)
    e = np.where(rng.random((300, OUTPUTS)) < 0.01, 1e4, 1.0) * rng.standard_normal((300, OUTPUTS))
    made, first = fit_normal(x, e, FLOOR, SLOTS), fit_intervals(x, e, FLOOR, SLOTS)
    assert np.isfinite(made.weights).all()
    start = first.weights.copy()
    start[0] += 0.5 * np.log(((e / np.exp(x @ start)) ** 2).mean(axis=0))
    costs = [
        (x @ w + e**2 * np.exp(-2 * (x @ w)) / 2).sum(axis=0)
        + SHRINK / 2 * ((w - start)[1:] ** 2).sum(axis=0)
        for w in (made.weights, start)
    ]
    assert (costs[0] < costs[1]).all()


def test_few_errors_are_told_by_students_t(rng: np.random.Generator) -> None:
    x = np.concatenate([np.ones((18, 1)), np.zeros((18, 2))], axis=1)
    e = rng.standard_normal((18, 3))
    made, same = fit_normal(x, e, FLOOR), fit_intervals(x, e, FLOOR)
    np.testing.assert_array_equal(made.quantiles, same.quantiles)
    np.testing.assert_array_equal(made.weights, same.weights)
    assert fit_normal(x[:0], e[:0], FLOOR).rows == 0


def test_steps_that_no_error_reached_are_as_wide_as_a_walks(rng: np.random.Generator) -> None:
    x = features(rng, 400)
    e = np.full((400, 5), np.nan)
    e[:, :2] = 3.0 * rng.standard_normal((400, 2))
    made = fit_normal(x, e, FLOOR, SLOTS)
    low, high = made.offsets(x[:1], np.array([0.05, 0.95]))[:, 0]
    np.testing.assert_allclose((high - low)[:2], 2 * 1.645 * np.sqrt((e[:, :2] ** 2).mean(axis=0)), rtol=1e-3)
    assert (np.diff((high - low)[1:]) > 0).all()


def test_a_forecaster_with_normal_intervals(rng: np.random.Generator, tmp_path: Path) -> None:
    panel = make_panel(rng, 260, past=0)
    models = {
        kind: Forecaster(horizon=3, recipe=TINY, calendar=None, intervals=kind).fit(panel, progress=False)
        for kind in ("conformal", "gaussian")
    }
    told = {kind: model.predict_interval(coverage=0.8) for kind, model in models.items()}
    np.testing.assert_array_equal(told["gaussian"]["y_hat"], told["conformal"]["y_hat"])
    y_hat, low, high = (np.asarray(told["gaussian"][name]) for name in ("y_hat", "lo_80", "hi_80"))
    np.testing.assert_allclose(high - y_hat, y_hat - low, rtol=1e-6)
    assert (low != np.asarray(told["conformal"]["lo_80"])).all()
    wide = models["gaussian"].predict_interval(coverage=0.98)
    np.testing.assert_allclose(
        (np.asarray(wide["hi_98"]) - y_hat) / (high - y_hat), 2.3263479 / 1.2815516, rtol=1e-6
    )
    models["gaussian"].save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict_interval(coverage=0.8)["lo_80"], low)
    facts = dict(describe_model(again.fitted))
    assert facts["intervals"].startswith("normal distributions, calibrated on ")
    assert too_few_for(again.fitted, 0.999) == ""


def test_other_kinds_are_refused() -> None:
    with pytest.raises(
        InvalidInput, match=r"intervals must be one of conformal, gaussian, none\. Got 'normal'"
    ):
        Recipe(intervals="normal")
