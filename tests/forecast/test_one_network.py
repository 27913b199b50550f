"""One network trained once: so many updates, nothing tried, no intervals; and each of these alone."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bptt
from bptt.errors import FileFormatError, InvalidInput, InvalidType
from bptt.files.model import read_arrays, read_header, write_model
from bptt.forecast import Forecaster, Recipe
from bptt.forecast.asking import drawn_recipes
from bptt.forecast.fitting.choices.choosing import Candidate
from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.ensemble import assemble, make_member
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.networks import members
from bptt.forecast.fitting.readouts.heads import FEW_WITH
from bptt.forecast.panel import Panel
from bptt.forecast.pieces import cut
from bptt.forecast.saving.facts import describe_model, too_few_for
from bptt.forecast.scoring.rehearsal import rehearse
from bptt.forecast.scoring.scorecard import Scorecard
from tests.forecast.panels import TINY, make_panel

ROWS, MORE, K, UPDATES = 307, 19, 4, 23
ATOL = 1e-6
ONCE = {
    "horizon": K,
    "ensemble": 1,
    "updates": UPDATES,
    "validation": 0,
    "intervals": "none",
    "calendar": None,
}


def part(panel: Panel, first: int, stop: int) -> Panel:
    return replace(panel, lines=tuple(cut(line, first, stop) for line in panel))


def whole() -> Panel:
    return make_panel(np.random.default_rng(4), ROWS + MORE)


@pytest.fixture(scope="module")
def model() -> Forecaster:
    return Forecaster(**ONCE, recipe=TINY).fit(part(whole(), 0, ROWS), progress=False)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the list in which updates and rows of networks appear as they are trained."""
    found: list[tuple[int, int]] = []
    train = members.train

    def spy(net, source, **settings):  # type: ignore[no-untyped-def]
        rows = getattr(source, "sequences", source)
        found.append((settings["steps"], len(rows.values)))
        return train(net, source, **settings)

    monkeypatch.setattr(members, "train", spy)
    return found


def test_one_network_is_trained_on_all_rows_and_nothing_else(trained: list[tuple[int, int]]) -> None:
    seen: list[tuple[int, int]] = []
    made = Forecaster(**ONCE, recipe=TINY).fit(
        part(whole(), 0, ROWS), progress=lambda *each: seen.append(each)
    )
    # A row is a target's, and one more ends the line.
    assert trained == [(UPDATES, ROWS - K + 1)]
    assert seen[-1] == (UPDATES, UPDATES)
    assert [len(each) for each in made.fitted.losses] == [UPDATES]
    assert made.verdict == "nothing was validated: the recurrent network is taken as it is"
    assert made.fitted.intervals.rows == 0


def test_its_forecast_is_that_of_a_network_trained_by_hand(model: Forecaster) -> None:
    panel = part(whole(), 0, ROWS)
    plan = LessonPlan(K, TINY, model.fitted.trained.encoding.calendar, "last")
    encoding = plan.encoding(panel)
    lesson, recipe = plan.lesson(encoding, panel), replace(TINY, updates=UPDATES, scaled=False)
    member = make_member(encoding, lesson, Candidate(recipe, 1.0), 0, lambda *_: None)
    by_hand = assemble(encoding, [member], FEW_WITH[0])
    line = lesson.lines[0]
    wanted = by_hand.in_units(line, by_hand.forecast(line, np.array([ROWS - 1])))[0]
    np.testing.assert_allclose(model.predict()["y_hat"], wanted, rtol=0, atol=ATOL)


def test_it_forecasts_without_intervals_and_a_file_brings_that_back(
    model: Forecaster, tmp_path: Path
) -> None:
    loaded: Forecaster = bptt.load(model.save(tmp_path / "m.safetensors"))
    panel = whole()
    for made in (model, loaded, pickle.loads(pickle.dumps(loaded))):
        assert list(made.predict()) == ["unique_id", "ds", "y_hat"]
        np.testing.assert_array_equal(made.predict()["y_hat"], model.predict()["y_hat"])
        for ask in (made.predict_interval, lambda made=made: made.forecast(levels=[0.3])):
            with pytest.raises(
                InvalidInput, match=r"^coverage and quantiles must be asked .*intervals = 'none'"
            ):
                ask()
        facts = dict(describe_model(made.fitted))
        assert facts["intervals"] == "none were asked for"
        assert "nothing was validated" in facts["validation"]
        assert too_few_for(made.fitted, 0.9) == ""
    line = panel.lines[0]
    for t in range(ROWS, ROWS + MORE):
        stepped = loaded.step({"y": line.y[t], "past 0": line.past[t, 0], "past 1": line.past[t, 1]})
    np.testing.assert_allclose(stepped, model.predict(panel)["y_hat"], rtol=0, atol=ATOL)
    assert len(model.plot(panel).axes[0].collections) == 0


def test_the_doctor_looks_when_it_is_asked_and_lets_the_run_go(model: Forecaster) -> None:
    again: Forecaster = pickle.loads(pickle.dumps(model))
    assert again.fitted.checkup is not None
    assert again.fitted.checkup._seen is not None
    found = again.diagnosis
    assert found is not None
    assert found.subject == "the network, before the closed form,"
    assert again.fitted.checkup._seen is None
    assert again.diagnosis is found
    assert str(model.without_rows().diagnosis) == str(found)


def test_intervals_without_validation_come_from_blocks_that_cover_all_rows(
    trained: list[tuple[int, int]],
) -> None:
    recipe = replace(TINY, blocks=3, warmup=0)
    made = Forecaster(**{**ONCE, "intervals": "conformal"}, recipe=recipe).fit(
        make_panel(np.random.default_rng(4), 1207), progress=False
    )
    assert [each for each, _ in trained] == [UPDATES] * 4
    assert 1207 - 3 * K - 24 <= made.fitted.intervals.rows <= 1207
    found = made.predict_interval(coverage=0.8)
    assert (found["lo_80"] < found["y_hat"]).all()
    assert (found["y_hat"] < found["hi_80"]).all()


def test_no_intervals_spare_the_blocks_and_leave_the_choice(trained: list[tuple[int, int]]) -> None:
    recipe, panel = replace(TINY, step_back=False, blocks=4), make_panel(np.random.default_rng(4), 1207)
    with_them = fit_panel(panel, horizon=K, recipe=recipe, threads=1)
    # Two shares of two networks, three blocks, the ensemble of two.
    assert len(trained) == 4 + 3 + 2
    without = fit_panel(panel, horizon=K, recipe=replace(recipe, intervals="none"), threads=1)
    assert len(trained) - 9 == 4 + 2
    assert without.choice.errors == with_them.choice.errors
    assert without.choice.penalty == with_them.choice.penalty
    assert with_them.intervals.there
    assert not without.intervals.there
    for a, b in zip(with_them.trained.nets, without.trained.nets, strict=True):
        np.testing.assert_array_equal(a.parameters["readout.W_hy"], b.parameters["readout.W_hy"])


@pytest.mark.parametrize("rows", [97, 1501])
def test_updates_that_are_asked_for_are_neither_tried_out_nor_fitted_to_the_rows(
    rows: int, trained: list[tuple[int, int]]
) -> None:
    settings = {"horizon": 2, "updates": 3, "intervals": "none", "threads": 1}
    made = Forecaster(**settings, recipe=replace(TINY, step_back=False)).fit(
        make_panel(np.random.default_rng(1), rows), progress=False
    )
    assert made.asked.recipe.shorter == ()
    # Two of the trials, two of the ensemble.
    assert [each for each, _ in trained] == [3] * 4
    assert {each.updates for each in drawn_recipes(made.asked.recipe, 5, 0)} == {3}
    assert len({each.updates for each in drawn_recipes(Recipe(), 5, 0)}) > 1


@pytest.mark.parametrize("head", ["recursive", "segments"])
def test_every_head_can_be_trained_so(head: str) -> None:
    recipe = replace(TINY, head=head)
    made = Forecaster(**{**ONCE, "updates": 2}, recipe=recipe).fit(part(whole(), 0, ROWS), progress=False)
    assert made.fitted.trained.kind == "network"
    assert np.isfinite(made.predict()["y_hat"]).all()


def test_where_lines_are_too_short_for_a_network_least_squares_are_taken() -> None:
    few = make_panel(np.random.default_rng(2), *[K + 6] * 9)
    made = Forecaster(**ONCE, recipe=TINY).fit(few, progress=False)
    assert made.verdict == "nothing was validated: least squares on the window is taken as it is"
    nothing = Forecaster(**ONCE, recipe=TINY).fit(make_panel(np.random.default_rng(2), K + 3), progress=False)
    assert nothing.verdict == "there are too few rows to learn from: the last value is repeated"
    with pytest.raises(InvalidInput, match="intervals = 'none'"):
        nothing.predict_interval()


def test_tests_and_backtests_have_no_coverage_then() -> None:
    panel = make_panel(np.random.default_rng(3), 401)
    found = Forecaster(**{**ONCE, "updates": 5}, recipe=TINY).backtest(
        panel, folds=2, trees=False, progress=False
    )
    assert np.isnan(found.scores["model"]["coverage"]).all()
    assert np.isfinite(found.scores["model"]["rmse"]).all()
    recipe = replace(TINY, updates=5, ensemble=1, validation=0, intervals="none")
    tested = Scorecard.of(rehearse(panel, horizon=K, recipe=recipe, trees=False, threads=1))
    assert "intervals" not in tested.caption()
    assert dict(zip([row[0] for row in tested.rows()], tested.rows(), strict=True))["model"][5] == "-"
    assert Scorecard.from_config(json.loads(json.dumps(tested.to_config()))).caption() == tested.caption()


def test_files_of_others_do_not_hold_what_older_versions_do_not_know(
    model: Forecaster, tmp_path: Path
) -> None:
    assert "scaled" not in Recipe().to_config()
    assert Recipe.from_config(Recipe().to_config()) == Recipe()
    asked = model.asked.recipe
    assert asked.to_config()["scaled"] is False
    assert Recipe.from_config(json.loads(json.dumps(asked.to_config()))) == asked
    path = model.save(tmp_path / "m")
    header = read_header(path, "model")
    for name, value in (("scaled", 0), ("validation", "0"), ("intervals", "nothing")):
        description = json.loads(json.dumps(header.description))
        description["config"]["recipe"][name] = value
        write_model(tmp_path / "odd", read_arrays(path, header), description)
        with pytest.raises(FileFormatError, match=name):
            bptt.load(tmp_path / "odd")


def test_what_does_not_go_together_is_refused() -> None:
    for settings, message in (
        (
            {"quantiles": [0.2], "intervals": "none"},
            r"^quantiles must be left out where intervals = 'none'. Got \[0.2\]",
        ),
        ({"search": 2, "validation": 0}, r"^search must be 0 where validation = 0. Got 2: variations"),
        ({"validation": -0.1}, r"^validation must be at least 0. Got -0.1$"),
        ({"validation": 0.5}, r"^validation must be below 0.5. Got 0.5$"),
        ({"updates": 0}, r"^updates must be at least 1. Got 0$"),
    ):
        with pytest.raises(InvalidInput, match=message):
            Forecaster(**settings)
    with pytest.raises(InvalidType, match=r"^scaled must be True or False. Got 'no'$"):
        Recipe(scaled="no")  # type: ignore[arg-type]  # on purpose
