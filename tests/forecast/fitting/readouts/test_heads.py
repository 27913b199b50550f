"""What validation judges is what the assembled forecaster says: of every head, by both ways, from the same networks."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from bptt.errors import DivergedError
from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.encoding import to_unit
from bptt.forecast.fitting.choices.choosing import Candidate
from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.ensemble import assemble, make_member
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.networks import decoder
from bptt.forecast.fitting.networks.decoder import Segmented, places
from bptt.forecast.fitting.networks.members import _one_series
from bptt.forecast.fitting.readouts import rolling
from bptt.forecast.fitting.readouts.heads import Origins, Penalty, make_head, mean_forecast, origin_features
from bptt.forecast.fitting.readouts.segment_path import segment_sums
from bptt.forecast.fitting.trained import forecast_line
from bptt.forecast.recipe import HEADS, Recipe
from bptt.network import Network
from tests.forecast.panels import HOUR, NETWORK, make_panel

K = 5
# Networks in float32 against the same weights in float64, of a scaled target, fed back K times.
SINGLE = 2e-4


@pytest.mark.parametrize("level", ["own", "window"])
@pytest.mark.parametrize("anchor", ["last", "season"])
@pytest.mark.parametrize("head", HEADS)
def test_trials_and_the_ensemble_forecast_alike(
    rng: np.random.Generator, head: str, anchor: str, level: str
) -> None:
    panel = make_panel(rng, 140, 93, future=1, ahead=K)
    statics = tuple(replace(line, static=rng.standard_normal(2)) for line in panel)
    panel = replace(panel, lines=statics, static=("a", "b"))
    panel.lines[0].y[[31, 32, 60]] = np.nan
    recipe = replace(NETWORK, layers=2, updates=12, level=level)
    plan = LessonPlan(K, recipe, Calendar(("day",)), anchor, head=head)
    encoding = plan.encoding(panel)
    assert (encoding.head, encoding.anchor, encoding.age) == (head, anchor, True)
    lesson = plan.lesson(encoding, panel)
    members = [
        make_member(encoding, lesson, Candidate(recipe, 1.0), seed, lambda *_: None) for seed in (3, 4)
    ]
    assert {each.net.output_size for each in members} == {
        encoding.outputs
    }  # taught what it is to say, no more
    origins = Origins(lesson, [np.array([40, 77, 130]), np.array([9, 50, 80, 87])])
    penalties = [Penalty(0.02, 0.05)]
    if head == "direct":
        penalties += [Penalty(0.0, np.inf, solved=False), Penalty(0.02, np.inf, beside=(0.1, 0.9, 0.3))]
    for penalty in penalties:
        heads = [make_head(encoding, each.normal, each.net, penalty) for each in members]
        # Without a drift, where the level is read as a distance from its own mean.
        assert heads[0].linear.intercept.any() == (level == "own" or not penalty.solved)
        judged = mean_forecast(heads, [origin_features(encoding, origins, each.net) for each in members])
        trained, first = assemble(encoding, members, penalty), 0
        for each, beside in zip(members, trained.decoders, strict=head == "segments"):
            assert isinstance(each.net, Segmented)
            for name, array in beside.parameters.items():
                np.testing.assert_array_equal(array, each.net.decoder.parameters[name])
        for line, rows in zip(lesson.lines, origins.rows, strict=True):
            said = to_unit(encoding, line, rows, judged[first : first + len(rows)])
            np.testing.assert_allclose(trained.forecast(line, rows), said, rtol=0, atol=SINGLE)
            first += len(rows)


@pytest.mark.parametrize("head", ["recursive", "segments"])
def test_origins_that_go_together_do_not_touch_each_other(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    panel = make_panel(rng, 140)
    plan = LessonPlan(K, replace(NETWORK, updates=12), Calendar(("day",)), "last", head=head)
    encoding = plan.encoding(panel)
    lesson = plan.lesson(encoding, panel)
    member = make_member(encoding, lesson, Candidate(plan.recipe, 1.0), 3, lambda *_: None)
    origins = Origins(lesson, [np.array([40, 77, 130, 11, 12, 99, 60])])
    made = []
    for together in (1000, 3):
        for module in (decoder, rolling):
            monkeypatch.setattr(module, "_TOGETHER", together)
        heads = [make_head(encoding, member.normal, member.net, Penalty(0.02, 0.05))]
        made.append(mean_forecast(heads, [origin_features(encoding, origins, member.net)]))
    np.testing.assert_allclose(made[1], made[0], rtol=0, atol=SINGLE)
    assert len(np.unique(made[0][:, 0])) == 7


def test_every_segment_is_told_which_it_is_and_when_it_begins(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 90)
    plan = LessonPlan(14, NETWORK, Calendar(("day", "week")), "last", head="segments")
    encoding = plan.encoding(panel)
    assert (encoding.segments, encoding.segment) == (3, 6)
    local = panel.lines[0].local[[3, 50, 51, 80]]
    found = places(encoding, local)
    for m in range(3):
        np.testing.assert_array_equal(found[m, :, :3], np.tile(np.arange(3) == m, (4, 1)))
        np.testing.assert_array_equal(found[m, :, 3:], encoding.calendar.encode(local + 6 * m * HOUR))


def test_the_readout_of_the_gradient_is_taken_in_the_units_of_the_targets(rng: np.random.Generator) -> None:
    """Near steps were taught larger; a head with that readout says what the network says, each step in its own unit."""
    panel = make_panel(rng, 140)
    recipe: Recipe = replace(NETWORK, updates=12)
    plan = LessonPlan(K, recipe, Calendar(()), "last")
    encoding = plan.encoding(panel)
    lesson = plan.lesson(encoding, panel)
    member = make_member(encoding, lesson, Candidate(recipe, 1.0), 3, lambda *_: None)
    rows = np.array([30, 99])
    head = make_head(encoding, member.normal, member.net, Penalty(0.0, np.inf, solved=False))
    said = mean_forecast([head], [origin_features(encoding, Origins(lesson, [rows]), member.net)])
    assert isinstance(member.net, Network)
    taught = member.net.predict(lesson.lines[0].x[None].astype(np.float32))[0, rows]
    near = np.arange(1, K + 1) ** -0.5
    near *= np.sqrt(K / (near**2).sum())
    np.testing.assert_allclose(said * near, taught, rtol=0, atol=SINGLE)
    values, *_, inputs = _one_series(lesson, 140 - K, 1000, 1, np.arange(K))
    np.testing.assert_allclose(values[1:-1, inputs:], lesson.y[0][: 139 - K] * near, rtol=0, atol=SINGLE)


def test_the_closed_form_is_solved_from_what_forecasts_are_made_of(rng: np.random.Generator) -> None:
    """The sums over the training rows are those of the features that validation reads, once a window is full."""
    panel = make_panel(rng, 101, future=1, ahead=K)
    plan = LessonPlan(K, replace(NETWORK, updates=3), Calendar(("day",)), "last", head="segments")
    encoding = plan.encoding(panel)
    lesson = plan.lesson(encoding, panel)
    net, normal, *_ = make_member(encoding, lesson, Candidate(plan.recipe, 1.0), 3, lambda *_: None)
    rows = np.arange(24, 101 - K)
    features = origin_features(encoding, Origins(lesson, [rows]), net)
    assert isinstance(features, np.ndarray)
    window, states = np.split(features, [features.shape[1] - encoding.segments * NETWORK.hidden], axis=1)
    found = segment_sums(
        window,
        states.reshape(len(rows), encoding.segments, -1),
        lesson.y[0][rows],
        lesson.weights[0][rows],
        encoding.segment,
    )
    for each in fields(found):
        np.testing.assert_allclose(getattr(normal, each.name), getattr(found, each.name), rtol=0, atol=SINGLE)


@pytest.mark.parametrize("head", HEADS)
def test_a_training_that_diverges_is_told_of(rng: np.random.Generator, head: str) -> None:
    recipe = replace(NETWORK, head=head, rate=1e20, clip=1e30, loss="mse")
    with pytest.raises(DivergedError, match="learning rate"):
        fit_panel(make_panel(rng, 140), horizon=K, recipe=recipe, threads=1)


@pytest.mark.parametrize("late", [110, 137])
@pytest.mark.parametrize("head", HEADS)
def test_a_target_that_is_measured_only_of_late(rng: np.random.Generator, head: str, late: int) -> None:
    panel = make_panel(rng, 140)
    panel.lines[0].y[:late] = np.nan
    fitted = fit_panel(panel, horizon=K, recipe=replace(NETWORK, head=head, updates=5), threads=1)
    assert np.isfinite(forecast_line(fitted.trained, panel.lines[0], np.array([100, 139]))).all()
