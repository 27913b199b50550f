"""What validation decides: by which rules, and that it is what is then judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.forecast.features.calendar import Calendar
from bptt.forecast.fitting.choices import choosing
from bptt.forecast.fitting.choices.choosing import Candidate
from bptt.forecast.fitting.choices.held_out import choose_origins, judge, missed
from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.ensemble import make_member
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.jobs import trial
from bptt.forecast.fitting.readouts.heads import FEW_WALKS, Penalty, normal_equations
from bptt.forecast.pieces import cut
from bptt.forecast.recipe import HEADS
from tests.forecast.panels import NETWORK, make_panel

K = 5


def test_walks_left_out_for_time_leave_the_rules_as_they_are(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long history stays one: all penalties are tried, and neighbours that are far apart hang together less."""
    asked, overlaps = [], []
    make_head, best = choosing.make_head, choosing._best

    def spy_head(encoding, normal, net, penalty):  # type: ignore[no-untyped-def]
        asked.append(penalty)
        return make_head(encoding, normal, net, penalty)

    def spy_best(found, weights, overlapping):  # type: ignore[no-untyped-def]
        overlaps.append((len(weights), overlapping))
        return best(found, weights, overlapping)

    monkeypatch.setattr(choosing, "make_head", spy_head)
    monkeypatch.setattr(choosing, "_best", spy_best)
    recipe = replace(NETWORK, head="recursive", trial_members=1, ensemble=1, shorter=(), updates=3)
    panel = make_panel(rng, 801)
    for most in (10**6, 160):
        monkeypatch.setattr(choosing, "_MOST_WALKED", most)
        fit_panel(panel, horizon=K, recipe=recipe, seed=1, threads=1)
        assert {each for each in asked if np.isfinite(each.state)} == set(FEW_WALKS)
        asked.clear()
    (every, whole), (some, fewer) = overlaps
    assert (every, whole) == (156, K)
    assert some < 40
    # As many independent forecasts, as far as there are so many at all.
    assert some / fewer == pytest.approx(min(some, every / whole), rel=1e-12, abs=0)


@pytest.mark.parametrize("head", HEADS)
def test_what_is_chosen_has_the_error_that_it_was_chosen_for(
    monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    """Candidate and penalty, with the ridge's share near and far, lead back to the forecasts that were compared."""
    monkeypatch.setattr(choosing, "_FEW_HORIZONS", 1)
    # A panel for which a ridge beside the network pays, with other shares near than far.
    panel = make_panel(np.random.default_rng(8), 420, past=1)
    recipe = replace(NETWORK, head=head, updates=40, shorter=(), period=None)
    plan = LessonPlan(K, recipe, Calendar(()), "last", head=head)
    before = replace(panel, lines=(cut(panel.lines[0], 0, 330),))
    encoding = plan.encoding(before)
    known, lesson = plan.lesson(encoding, before), plan.lesson(encoding, panel)
    candidate = Candidate(recipe, 1.0)
    made = trial(candidate, [make_member(encoding, known, candidate, k, lambda *_: None) for k in (1, 2)])
    window = normal_equations(encoding, known, None, 1000)
    origins = choose_origins(lesson, K, [330], [420])
    found = choosing.choose(encoding, origins, [made], window, step_back=False)
    assert found.kind == "network"
    assert found.penalty is not None
    if head == "direct":
        assert found.penalty.beside is not None
        assert found.penalty.beside[1] != found.penalty.beside[2]
    errors = missed(encoding, origins, found, [made], window).errors[0] / encoding.target
    last = judge(encoding, origins, np.zeros_like(errors)).errors[0] / encoding.target
    assert found.errors["network"] == pytest.approx((errors**2).mean() / (last**2).mean(), rel=1e-9, abs=0)


def test_the_gradients_readout_is_no_choice_where_it_says_some_steps_alone(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 50 steps 48 are taught."""
    monkeypatch.setattr(choosing, "_FEW_HORIZONS", 1)
    panel = make_panel(rng, 420, past=0)
    recipe = replace(NETWORK, updates=3, shorter=(), ensemble=1, trial_members=1)
    fitted = fit_panel(panel, horizon=50, recipe=recipe, seed=1, threads=1)
    assert fitted.trained.kind == "network"
    assert fitted.choice.penalty is not None
    assert fitted.choice.penalty.solved


def test_of_few_forecasts_no_share_is_told(rng: np.random.Generator) -> None:
    recipe = replace(NETWORK, updates=20, shorter=(), ensemble=1, trial_members=1)
    fitted = fit_panel(make_panel(rng, 420), horizon=K, recipe=recipe, seed=1, threads=1)
    assert fitted.choice.origins < choosing._FEW_HORIZONS * K
    assert fitted.choice.penalty is not None
    assert fitted.choice.penalty.beside is None


def test_of_least_squares_is_kept_what_pays_at_each_step(rng: np.random.Generator) -> None:
    """A walk on a season: the next hour is told by least squares, the next day by the day before."""
    steps, count = 9, 400
    moved = rng.standard_normal((count, steps))
    noise = rng.standard_normal((count, steps)) * np.linspace(0.1, 3.0, steps)
    weights = rng.uniform(0.5, 1.0, count)

    def offer(y_hat: np.ndarray) -> choosing._Offer:
        squares = ((y_hat - moved) ** 2).mean(axis=1)
        error = float(squares @ weights / weights.sum())
        return choosing._Offer(error, squares, None, Penalty(np.inf, 0.4), y_hat)

    naive, ridge = offer(np.zeros_like(moved)), offer(moved + noise)
    assert naive.error < ridge.error
    drawn = choosing._drawn(ridge, naive, moved, weights, np.ones(steps), steps)
    assert drawn is not None
    assert drawn.error < naive.error
    assert drawn.penalty is not None
    assert drawn.penalty.drawn is not None
    near, far = drawn.penalty.drawn
    assert near > 0.6
    assert far < 0.3
    np.testing.assert_allclose(
        drawn.y_hat, np.linspace(near, far, steps) * ridge.y_hat, rtol=1e-12, atol=1e-12
    )
    # A ridge that knows nothing is not kept in part either: what it seems to gain is luck.
    nothing = offer(0.1 * rng.standard_normal((count, steps)))
    assert choosing._drawn(nothing, naive, moved, weights, np.ones(steps), steps) is None


def test_the_part_of_least_squares_that_was_chosen_is_the_one_that_is_judged(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "_best", lambda found, weights, overlapping: "season")
    panel = make_panel(rng, 700, past=1)
    plan = LessonPlan(K, replace(NETWORK, period=6), Calendar(()), "season")
    before = replace(panel, lines=(cut(panel.lines[0], 0, 400),))
    encoding = plan.encoding(before)
    lesson = plan.lesson(encoding, panel)
    window = normal_equations(encoding, plan.lesson(encoding, before), None, 1000)
    origins = choose_origins(lesson, K, [400], [700])
    found = choosing.choose(encoding, origins, [], window)
    assert found.kind == "ridge"
    assert found.penalty is not None
    assert found.penalty.drawn is not None
    errors = missed(encoding, origins, found, [], window).errors[0] / encoding.target
    last = judge(replace(encoding, anchor="last"), origins, np.zeros_like(errors)).errors[0] / encoding.target
    assert found.errors["ridge"] == pytest.approx((errors**2).mean() / (last**2).mean(), rel=1e-9, abs=0)
