"""Rolling origin: folds where they should be, baselines as they are defined, losses said plainly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.errors import DataError
from bptt.forecast import Backtest, Forecaster
from bptt.forecast.scoring.rehearsal import rehearse
from bptt.forecast.scoring.trees import chosen_steps
from tests.forecast.panels import TINY, make_panel

K = 3


@pytest.fixture(scope="module")
def found() -> Backtest:
    panel = make_panel(np.random.default_rng(3), 250)
    return Forecaster(horizon=K, recipe=TINY).backtest(panel, folds=2, progress=False, trees=False)


def test_the_folds_are_the_end_of_the_history(found: Backtest) -> None:
    times = make_panel(np.random.default_rng(3), 250).lines[0].times
    assert found.folds == [(times[150], times[199]), (times[200], times[249])]
    assert found.origins == 2 * (50 - K + 1)


def test_the_naive_methods_are_what_they_are_called(found: Backtest) -> None:
    y = make_panel(np.random.default_rng(3), 250).lines[0].y
    rows = np.concatenate([np.arange(149, 197), np.arange(199, 247)])
    for k in range(1, K + 1):
        error = y[rows + k] - y[rows]
        assert found.scores["last"]["rmse"][k - 1] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-9)
        error = y[rows + k] - y[rows + k - 24]
        assert found.scores["season"]["rmse"][k - 1] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-9)
    scale = [np.abs(y[24:end] - y[: end - 24]).mean() for end in (150, 200)]
    errors = np.abs(y[rows + 1] - y[rows]) / np.repeat(scale, 48)
    assert found.scores["last"]["mase"][0] == pytest.approx(errors.mean(), rel=1e-9)


def test_no_season_is_repeated_before_there_was_one() -> None:
    """A day of hours in 33 rows: before the first fold of two there are 19, so no season can be compared with."""
    panel = make_panel(np.random.default_rng(3), 33)
    found = Forecaster(horizon=K, recipe=TINY).backtest(panel, folds=2, progress=False, trees=False)
    assert set(found.scores) == {"model", "last", "ridge"}


def test_the_table_and_the_verdict(found: Backtest) -> None:
    text = str(found)
    for name in ("model", "repeat the last value", "repeat the last season", "least squares on the window"):
        assert name in text
    assert text.splitlines()[-1] == found.verdict()
    scores = {name: dict(values) for name, values in found.scores.items()}
    scores["ridge"]["rmse"] = scores["model"]["rmse"] + np.array([0.1, -0.1, -0.1])
    scores["last"]["rmse"] = scores["model"]["rmse"] + 1
    scores["season"]["rmse"] = scores["model"]["rmse"] + np.array([1, -1, 1])
    assert replace(found, scores=scores).verdict() == (
        "the model loses: repeat the last season is better at step 2; least squares on the window is better at "
        "steps 2, 3"
    )
    scores["ridge"]["rmse"] = scores["season"]["rmse"] = scores["last"]["rmse"]
    assert (
        replace(found, scores=scores).verdict()
        == "the model has the smallest error at every step of the horizon"
    )


def test_without_refit_one_model_serves_all_folds() -> None:
    panel = make_panel(np.random.default_rng(3), 250)
    calls: list[tuple[int, int]] = []
    model = Forecaster(horizon=K, recipe=TINY)
    once = model.backtest(panel, folds=2, refit=False, progress=lambda *c: calls.append(c), trees=False)
    assert calls[-1][0] == calls[-1][1] > 0
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    twice = model.backtest(panel, folds=2, refit=True, progress=False, trees=False)
    np.testing.assert_array_equal(once.by_fold[0]["model"], twice.by_fold[0]["model"])
    assert (once.by_fold[1]["model"] != twice.by_fold[1]["model"]).any()


def test_lines_of_unequal_length_each_have_their_own_folds() -> None:
    panel = make_panel(np.random.default_rng(4), 130, 61, 4)
    found = Forecaster(horizon=2, recipe=TINY).backtest(panel, folds=2, progress=False, trees=False)
    assert np.isfinite(found.scores["model"]["rmse"]).all()


def test_too_short_for_the_folds() -> None:
    panel = make_panel(np.random.default_rng(4), 13)
    with pytest.raises(
        DataError, match=r"^rows must be more than folds \* horizon \+ 2 = 3 \* 4 \+ 2. Got 13: use fewer"
    ):
        Forecaster(horizon=4, recipe=TINY).backtest(panel, folds=3, progress=False)


def test_trees_are_fitted_for_some_steps_of_many() -> None:
    assert chosen_steps(5) == [1, 2, 3, 4, 5]
    many = chosen_steps(24)
    assert len(many) <= 8
    assert (many[0], many[-1]) == (1, 24)


def test_trees_take_part_where_scikit_learn_is_installed() -> None:
    pytest.importorskip("sklearn")
    panel = make_panel(np.random.default_rng(3), 250)
    found = Forecaster(horizon=K, recipe=TINY).backtest(panel, folds=1, progress=False)
    assert (found.scores["trees"]["rmse"] < found.scores["last"]["rmse"]).all()


@pytest.mark.parametrize("judged", ["backtest", "rehearsal"])
def test_rivals_of_a_head_that_is_fed_back_know_the_same_rows_ahead(
    rng: np.random.Generator, judged: str
) -> None:
    """A walk reads the next row of a column known ahead, step by step; least squares must read them all at once."""
    panel = make_panel(rng, 260, future=1, ahead=5)
    found = []
    for head in ("direct", "recursive"):
        recipe = replace(TINY, head=head, updates=3, ensemble=1, trial_members=1)
        if judged == "backtest":
            model = Forecaster(horizon=5, recipe=recipe)
            found.append(model.backtest(panel, folds=1, progress=False, trees=False).scores["ridge"]["rmse"])
        else:
            found.append(rehearse(panel, horizon=5, recipe=recipe, trees=False).scores["ridge"]["rmse"])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=0)


def test_a_line_without_a_forecast_in_a_fold_is_passed_over_by_the_trees(rng: np.random.Generator) -> None:
    pytest.importorskip("sklearn")
    days = np.datetime64("2021-01-01") + np.concatenate([np.arange(260), np.arange(40)])
    table = {"t": days, "id": ["a"] * 260 + ["b"] * 40, "y": rng.standard_normal(300).cumsum()}
    wanted = Forecaster(target="y", group="id", horizon=12, ensemble=1, updates=1, validation=0)
    found = wanted.backtest(table, progress=False, trees=True)
    assert np.isfinite(found.scores["trees"]["rmse"][0])
