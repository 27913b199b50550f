"""Parts held out in turn: what is learnt beside them, what they are missed by, and what that decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.window_path import read_window
from bptt.forecast.fitting.choices import in_turn as turning
from bptt.forecast.fitting.choices.held_out import held_out_blocks, validation_start
from bptt.forecast.fitting.choices.in_turn import Turns, in_turn, miss, newest
from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.readouts.heads import (
    COLD,
    FEW_WITHOUT,
    WITHOUT_NETWORK,
    Penalty,
    make_head,
    normal_equations,
)
from bptt.forecast.panel import Line, Panel
from bptt.forecast.recipe import Recipe
from tests.forecast.panels import HOUR, START, TINY, make_panel

K = 3
# Sequences that are too short for a network to be tried.
RIDGE = replace(TINY, length=7, warmup=2, period=None, blocks=4)


def plan_of(recipe: Recipe, horizon: int = K, **settings: object) -> LessonPlan:
    return LessonPlan(horizon, recipe, Calendar(()), "last", **settings)  # type: ignore[arg-type]  # by name


def cuts_of(panel: Panel, horizon: int = K) -> list[int]:
    return [validation_start(len(line), 0.2, horizon) for line in panel]


def test_each_row_is_held_out_once(rng: np.random.Generator) -> None:
    """But for those before the longest window that may be tried has filled up."""
    panel = make_panel(rng, 761, 843, past=1)
    told = [np.zeros(len(line), int) for line in panel]
    parts = list(in_turn(panel, plan_of(RIDGE), cuts_of(panel)))
    for part in parts:
        for count, rows in zip(told, part.origins.rows, strict=True):
            count[np.unique(rows[:, None] + np.arange(1, K + 1))] += 1
    assert len(parts) == RIDGE.blocks
    for count in told:
        assert count.max() == 1
        first = max(COLD, RIDGE.window)
        np.testing.assert_array_equal(np.flatnonzero(count == 0), np.arange(first))


def test_both_windows_are_judged_on_the_same_rows(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 912, past=0)
    recipe = replace(RIDGE, window=None, period=3)
    rows = [
        [part.origins.rows[0] for part in in_turn(panel, plan_of(each, 6), cuts_of(panel, 6))]
        for each in (recipe, replace(recipe, window=48))
    ]
    for short, long in zip(*rows, strict=True):
        np.testing.assert_array_equal(short, long)
    assert min(each[0] for each in rows[0]) == 47


def test_what_is_learnt_lies_around_what_is_held_out(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 809, past=1)
    for part in in_turn(panel, plan_of(RIDGE), cuts_of(panel)):
        line, rows = part.origins.lesson.lines[0], part.origins.rows[0]
        judged = line.local[rows[:, None] + np.arange(1, K + 1)]
        learnt = np.concatenate([each.local for each in part.lesson.lines])
        assert len(learnt) > 500
        assert not np.isin(judged, learnt).any()


def test_the_errors_are_those_of_all_parts_together(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 801, 912, past=1)
    plan = plan_of(RIDGE, trust={"line 0": 0.3, "line 1": 1.7})
    found = miss(in_turn(panel, plan, cuts_of(panel)))
    total, mass = np.zeros((4, len(WITHOUT_NETWORK))), np.zeros(4)
    for number, part in enumerate(in_turn(panel, plan, cuts_of(panel))):
        normal = normal_equations(part.encoding, part.lesson, None, 10**6)
        lesson = part.origins.lesson
        for line, y, weights, rows in zip(
            lesson.lines, lesson.y, lesson.weights, part.origins.rows, strict=True
        ):
            window = read_window(part.encoding, line, rows)
            for k, penalty in enumerate(WITHOUT_NETWORK):
                y_hat = make_head(part.encoding, normal, None, penalty).linear(window)
                total[number, k] += weights[rows] @ ((y_hat - y[rows]) ** 2).mean(axis=1)
            mass[number] += weights[rows].sum()
    np.testing.assert_allclose(found.errors, total / mass[:, None], rtol=1e-9, atol=0.0)
    np.testing.assert_allclose(found.weights, mass / mass.sum(), rtol=1e-9, atol=0.0)
    assert found.error == pytest.approx(total.sum(axis=0).min() / mass.sum(), rel=1e-9, abs=0)
    assert len(set(found.errors.ravel())) == found.errors.size


def test_a_penalty_beside_the_usual_ones_must_gain_more_than_a_standard_error() -> None:
    usual, other = WITHOUT_NETWORK.index(FEW_WITHOUT[1]), 4
    errors = np.full((3, len(WITHOUT_NETWORK)), 0.9)
    errors[:, usual] = 0.5, 0.6, 0.7
    weights = np.array([0.5, 0.3, 0.2])
    # Gains of a mean of 0.062 with a deviation of 0.0872 over the parts: an error of 0.0617.
    errors[:, other] = errors[:, usual] - np.array([0.0, 0.04, 0.25])
    gains = np.array([0.0, 0.04, 0.25])
    spread = np.sqrt(weights @ (gains - weights @ gains) ** 2 / 2)
    for shift, expected in ((1e-6, WITHOUT_NETWORK[other]), (-1e-6, FEW_WITHOUT[1])):
        moved = errors.copy()
        moved[:, other] += weights @ gains - spread - shift
        found = Turns(moved, weights)
        assert found.penalty == expected
        assert found.error == pytest.approx(weights @ moved[:, other], rel=1e-12, abs=0)
    assert Turns(errors[:1], np.ones(1)).penalty is None
    worse = errors + 0.5
    worse[:, other] -= 1.0
    assert Turns(worse, weights).penalty == WITHOUT_NETWORK[other]
    assert Turns(worse, weights, few=True).penalty == FEW_WITHOUT[1]


def test_forecasts_are_few_where_no_part_has_many(rng: np.random.Generator) -> None:
    panel, plan = make_panel(rng, 761, past=0), plan_of(RIDGE)
    parts = list(in_turn(panel, plan, cuts_of(panel)))
    sizes = [len(part.origins.rows[0]) for part in parts]
    assert max(sizes) > 21 * K > 60
    assert not miss(parts).few
    thin = [replace(part, origins=replace(part.origins, rows=[part.origins.rows[0][:62]])) for part in parts]
    assert miss(thin).few
    assert not miss([*thin[:3], parts[3]]).few


def test_the_newest_rows_alone_are_left_to_validation(rng: np.random.Generator) -> None:
    short, long = make_panel(rng, 431), make_panel(rng, 777)
    assert not held_out_blocks(short, RIDGE, K)
    alone = miss(in_turn(short, plan_of(RIDGE), cuts_of(short)))
    assert alone.penalty is None
    assert alone.error > 0
    assert miss(in_turn(long, plan_of(RIDGE), cuts_of(long))).penalty in WITHOUT_NETWORK
    nothing = miss([])
    assert np.isnan(nothing.error)
    assert nothing.penalty is None


def repeating(rng: np.random.Generator, factors: list[float]) -> Panel:
    """Return a line in which a value is the one 40 rows back times a factor, by row, and noise."""
    y = rng.standard_normal(len(factors))
    for t in range(40, len(factors)):
        y[t] = factors[t] * y[t - 40] + 0.2 * y[t]
    times, nothing = START + np.arange(len(y)) * HOUR, np.zeros((len(y), 0))
    return Panel((Line("", times, times, y, nothing, nothing, np.zeros(0)),), "y", (), (), (), HOUR)


def test_a_window_that_most_seasons_need_is_not_lost_to_the_newest_one(rng: np.random.Generator) -> None:
    """What repeats after 40 rows is beyond a window of 24; in the newest fifth it comes back upside down."""
    horizon, rows = 6, 1503
    cut = validation_start(rows, 0.2, horizon)
    panel = repeating(rng, [0.97] * cut + [-0.6] * (rows - cut))
    recipe = replace(RIDGE, window=None, period=3)
    tried = [plan_of(replace(recipe, window=window), horizon) for window in (24, 48)]
    alone = [miss([newest(panel, plan, [cut])]).error for plan in tried]
    turns = [miss(in_turn(panel, plan, [cut])).error for plan in tried]
    assert alone[0] < alone[1]
    assert turns[1] < 0.9 * turns[0]
    fitted = fit_panel(panel, horizon=horizon, recipe=recipe, calendar=None, threads=1)
    assert fitted.trained.encoding.window == 48


def test_validation_takes_the_penalty_that_was_settled(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, asked = make_panel(rng, 901, past=0), []
    fitted = fit_panel(panel, horizon=K, recipe=RIDGE, calendar=None, threads=1)
    assert fitted.choice.kind == "ridge"
    assert fitted.choice.penalty == miss(in_turn(panel, plan_of(RIDGE), cuts_of(panel))).penalty

    class Odd(Turns):
        @property
        def penalty(self) -> Penalty:
            asked.append(len(self.errors))
            return Penalty(np.inf, 0.0123)

    monkeypatch.setattr(turning, "miss", lambda parts: Odd(miss(parts).errors, np.ones(4) / 4))
    fitted = fit_panel(panel, horizon=K, recipe=RIDGE, calendar=None, threads=1)
    assert fitted.choice.penalty == Penalty(np.inf, 0.0123)
    assert asked == [4]


def test_a_recursive_head_compares_its_own_walks(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(parts: object) -> Turns:
        raise AssertionError("asked for")

    monkeypatch.setattr(turning, "miss", never)
    panel = make_panel(rng, 801, past=0)
    fitted = fit_panel(panel, horizon=K, recipe=replace(RIDGE, head="recursive"), calendar=None, threads=1)
    assert fitted.choice.penalty is not None


def test_a_forecast_does_not_depend_on_whether_intervals_are_asked_for(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 901, past=0)
    found = [
        fit_panel(panel, horizon=K, recipe=replace(RIDGE, intervals=each), calendar=None, threads=1)
        for each in ("conformal", "none")
    ]
    assert found[0].choice.penalty == found[1].choice.penalty
    first, second = (each.trained.linear for each in found)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.weights, second.weights)
