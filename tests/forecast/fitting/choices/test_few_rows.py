"""Few rows, and values of any size: intervals hold the forecast and, of normal errors, the truth as often as asked."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.forecast import Forecaster
from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.fitting.choices import few_rows
from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.intervals.bounds import LEVELS
from bptt.forecast.fitting.intervals.conformal import fit_intervals
from bptt.forecast.panel import Panel
from tests.forecast.panels import NETWORK, make_panel

# From Student's table: the 95th percentile with 1, 2, 4 and 18 degrees of freedom, given to four digits.
T_95 = {1: 6.314, 2: 2.920, 4: 2.132, 18: 1.734}
FLOOR = np.array([0.1, 0.1])


@pytest.mark.parametrize("count", list(T_95))
def test_a_handful_of_errors_has_the_intervals_of_student(rng: np.random.Generator, count: int) -> None:
    errors = rng.standard_normal((count, 2)) * np.array([1.0, 3.0])
    made = fit_intervals(np.concatenate([np.ones((count, 1)), np.zeros((count, 2))], axis=1), errors, FLOOR)
    low, high = made.offsets(np.array([[1.0, 0.0, 0.0]]), np.array([0.05, 0.95]))[:, 0]
    size = np.maximum.accumulate(np.sqrt(np.mean(errors**2, axis=0)))
    np.testing.assert_allclose(high, T_95[count] * size, rtol=5e-4, atol=0)
    np.testing.assert_allclose(low, -high, rtol=1e-6, atol=0)


def test_errors_that_are_all_of_one_sign_leave_the_forecast_in_its_interval(rng: np.random.Generator) -> None:
    errors = 2 + rng.random((300, 1))
    x = np.concatenate([np.ones((300, 1)), np.zeros((300, 2))], axis=1)
    made = fit_intervals(x, errors, FLOOR)
    quantiles = made.offsets(x[:1], LEVELS)[:, 0, 0]
    assert quantiles[0] > 1.9
    bounds = made.offsets(x[:1], LEVELS, around=True)[:, 0, 0]
    assert (bounds[LEVELS < 0.5] == 0).all()
    np.testing.assert_array_equal(bounds[LEVELS > 0.5], quantiles[LEVELS > 0.5])


@pytest.mark.parametrize("horizon", [1, 3])
def test_every_short_history_has_its_forecast_in_the_interval(horizon: int) -> None:
    for seed in range(5):
        y = np.random.default_rng(seed).standard_normal(17)
        for rows in (2, 3, 4, 5, 7, 11, 17):
            found = (
                Forecaster("y", horizon, recipe=NETWORK)
                .fit({"y": y[:rows]}, progress=False)
                .predict_interval()
            )
            assert (found["lo_90"] < found["y_hat"]).all()
            assert (found["y_hat"] < found["hi_90"]).all()


def test_a_short_random_walk_is_covered_as_asked() -> None:
    """Three rows ahead of five: 90 % intervals hold 90 % of 400 walks, or a little more, as few changes overlap."""
    inside = np.zeros(3)
    for seed in range(400):
        y = np.cumsum(np.random.default_rng([7, seed]).standard_normal(8))
        found = Forecaster("y", 3).fit({"y": y[:5]}, progress=False).predict_interval()
        inside += (found["lo_90"] <= y[5:]) & (y[5:] <= found["hi_90"])
    np.testing.assert_allclose(inside / 400, 0.92, rtol=0, atol=0.05)


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_the_unit_of_the_target_does_not_matter(rng: np.random.Generator, size: float) -> None:
    t = np.arange(211)
    y = np.sin(t) + 0.3 * rng.standard_normal(211)
    made, other = (
        Forecaster("y", 3, recipe=NETWORK).fit({"y": y * unit}, progress=False) for unit in (1.0, size)
    )
    a, b = made.predict_interval(), other.predict_interval()
    for name in ("y_hat", "lo_90", "hi_90"):
        # Another unit rounds otherwise, and training in float32 makes more of that.
        np.testing.assert_allclose(b[name] / size, a[name], rtol=1e-3, atol=1e-3)
    scores = other.backtest({"y": y * size}, folds=2, refit=False, trees=False, progress=False).scores
    assert np.isfinite(scores["model"]["rmse"] / size).all()
    assert (scores["model"]["rmse"] / size > 0.1).all()


def test_few_rows_choose_by_several_points_of_the_history() -> None:
    """A rising season of twelve months: over ten years, the closed form is chosen, and closer than the last season."""
    ours, naive, kinds = [], [], set()
    t = np.arange(112)
    for seed in range(4):
        rng = np.random.default_rng([11, seed])
        y = 100 + 0.5 * t + 15 * np.sin(2 * np.pi * t / 12 + seed) + np.cumsum(rng.standard_normal(112))
        months = np.datetime64("2001-01") + t
        made = Forecaster("y", 12).fit({"month": months[:100], "y": y[:100]}, progress=False)
        kinds.add(made.fitted.choice.kind)
        assert (
            made.fitted.choice.origins >= 38
        )  # 9 after the newest cut alone, of which 5 have all of their truth
        ours.append(np.abs(np.asarray(made.predict()["y_hat"]) - y[100:]).mean())
        naive.append(np.abs(y[88:100] - y[100:]).mean())
    assert kinds == {"ridge"}
    assert np.mean(ours) < 0.8 * np.mean(naive)


def test_what_is_chosen_at_a_cut_has_seen_the_rows_before_it_alone(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = make_panel(rng, 100, 43, past=1)
    measured: list[list[int]] = []
    solved: list[list[int]] = []
    normal_equations = few_rows.normal_equations

    def encode(before: Panel, anchor: str) -> Encoding:
        measured.append([len(line) for line in before])
        return LessonPlan(3, NETWORK, Calendar(()), anchor).encoding(before)

    def spy(encoding, lesson, net, most):  # type: ignore[no-untyped-def]
        solved.append([len(line) for line in lesson.lines])
        return normal_equations(encoding, lesson, net, most)

    monkeypatch.setattr(few_rows, "normal_equations", spy)
    found = few_rows.choose_by_cuts(panel, encode, {"last": True}, 1000, np.ones(2))
    assert found is not None
    cuts = [[50, 22], [60, 26], [70, 30], [80, 34], [90, 39]]
    assert measured == cuts
    assert solved == cuts
    # Every origin is judged once, by the cut that comes before it.
    _, choice, held_out = found
    rows = [np.concatenate([each.rows[k] for each in held_out]) for k in range(2)]
    np.testing.assert_array_equal(rows[0], np.arange(49, 97))
    np.testing.assert_array_equal(rows[1], np.arange(21, 40))
    assert choice.origins == 48 + 19
