"""Series that hold nothing to learn: the forecaster steps back, and says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.forecast import Forecaster
from bptt.forecast.panel import Panel
from tests.forecast.panels import TINY, make_panel


def with_target(y: np.ndarray) -> Panel:
    panel = make_panel(np.random.default_rng(0), len(y), past=0)
    return replace(panel, lines=(replace(panel.lines[0], y=y),))


def fit(y: np.ndarray, horizon: int = 3) -> Forecaster:
    return Forecaster(horizon=horizon, recipe=TINY).fit(with_target(y), progress=False)


def test_a_random_walk_is_repeated(rng: np.random.Generator) -> None:
    y = np.cumsum(rng.standard_normal(700))
    made = fit(y)
    assert made.fitted.trained.kind == "last"
    assert made.verdict.startswith("on ")
    assert made.verdict.endswith(": the model steps back to it")
    found = made.predict_interval(coverage=0.8)
    np.testing.assert_allclose(found["y_hat"], y[-1], rtol=0, atol=1e-9)
    width = found["hi_80"] - found["lo_80"]
    # The spread of a walk grows with the root of time; 80 % of a normal step lie within 2.56 deviations.
    assert width[0] == pytest.approx(2.56, rel=0.4)
    assert width[2] == pytest.approx(width[0] * np.sqrt(3), rel=0.4)


def test_an_exact_season_is_repeated(rng: np.random.Generator) -> None:
    y = np.tile(rng.standard_normal(6) * 10, 40)
    made = fit(y + 1e-9 * rng.standard_normal(240))
    np.testing.assert_allclose(made.predict()["y_hat"], y[:3], rtol=0, atol=1e-3)


@pytest.mark.parametrize("rows", [1, 2, 3, 9])
def test_few_rows_are_answered_with_the_last_one(rng: np.random.Generator, rows: int) -> None:
    y = rng.standard_normal(rows)
    made = fit(y)
    found = made.predict_interval()
    np.testing.assert_allclose(found["y_hat"], y[-1], rtol=0, atol=1e-9)
    assert np.isfinite(found["lo_90"]).all()
    assert made.verdict.endswith("the last value is repeated")


@pytest.mark.parametrize(("rows", "horizon"), [(9, 13), (60, 101), (230, 251)])
def test_a_horizon_beyond_the_history_has_intervals_that_grow(
    rng: np.random.Generator, rows: int, horizon: int
) -> None:
    """Nothing was ever seen so far ahead; a width of 0 would claim that the forecast is certain."""
    y = np.cumsum(rng.standard_normal(rows))
    found = fit(y, horizon).predict_interval(coverage=0.8)
    width = found["hi_80"] - found["lo_80"]
    assert 1.0 < width[0] < 7.0  # of a normal step 2.56, estimated from as few as 8
    assert (np.diff(width[rows // 2 :]) > 0).all()
    assert width[-1] == pytest.approx(width[rows // 2 - 1] * np.sqrt(horizon / (rows // 2)), rel=1e-9)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e7])
def test_a_target_that_never_changes_stays(value: float) -> None:
    made = fit(np.full(90, value))
    found = made.predict_interval()
    for name in ("y_hat", "lo_90", "hi_90"):
        np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-12)
    assert made.verdict == "the target never changes: the last value is repeated"


def test_a_target_that_has_been_missing_for_long_is_still_forecast(rng: np.random.Generator) -> None:
    y = rng.standard_normal(150)
    y[100:] = np.nan
    y[:7] = np.nan
    assert np.isfinite(fit(y).predict()["y_hat"]).all()


def test_the_season_is_where_a_change_is_counted_from_if_that_does_better(rng: np.random.Generator) -> None:
    pattern = 10 * rng.standard_normal(6)
    walk = 0.02 * np.cumsum(rng.standard_normal(240))
    noise = rng.standard_normal(240)
    for y, anchor in (
        (np.tile(pattern, 40) + walk + 0.1 * noise, "season"),
        (50 * walk + 0.1 * noise, "last"),
    ):
        recipe = replace(TINY, anchor="auto", window=1)
        made = Forecaster(horizon=3, recipe=recipe).fit(with_target(y), progress=False)
        assert made.fitted.trained.encoding.anchor == anchor
