"""Sums that networks of a lesson share: the same as each network's own, whatever the head, the weights, the groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.forecast.features.calendar import Calendar
from bptt.forecast.fitting.choices.choosing import Candidate
from bptt.forecast.fitting.choices.grouping import in_groups
from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.ensemble import make_member
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.readouts.heads import Parted, normal_equations
from bptt.forecast.fitting.readouts.ridge_path import Normal
from bptt.forecast.fitting.readouts.state_sums import add_states
from bptt.network import Network, Recurrent
from tests.forecast.panels import NETWORK, TINY, make_panel

K, H = 5, 7
# The same products in another order.
SAME = {"rtol": 1e-11, "atol": 1e-9}


def assert_same(found: Normal, wanted: Normal) -> None:
    for name in ("gram", "moment", "feature_sum", "target_sum", "count"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), **SAME, err_msg=name)


@pytest.mark.parametrize("most", [10**6, 60])
@pytest.mark.parametrize("head", ["direct", "recursive"])
def test_they_are_those_of_window_and_state_together(rng: np.random.Generator, head: str, most: int) -> None:
    panel = make_panel(rng, 1307, 61, 143)  # more rows than are held at once
    plan = LessonPlan(K, TINY, Calendar(("day",)), "last", head=head)
    encoding = plan.encoding(panel)
    lesson = plan.lesson(encoding, panel)
    weights = [w * rng.uniform(0.2, 3.0, w.shape) * (rng.random(w.shape) > 0.1) for w in lesson.weights]
    lesson = replace(lesson, weights=weights)
    net = Network(Recurrent("gru", encoding.inputs, H, dtype="float32", seed=3), K, readout="every", seed=3)
    window = normal_equations(encoding, lesson, None, most)
    found, wanted = (
        add_states(encoding, lesson, net, most, window),
        normal_equations(encoding, lesson, net, most),
    )
    assert isinstance(found, Normal)
    assert isinstance(wanted, Normal)
    assert found.gram.shape[0] == found.moment.shape[0] > H
    assert_same(found, wanted)

    nothing = replace(lesson, weights=[0 * w for w in weights])
    window = normal_equations(encoding, nothing, None, most)
    empty, wanted = (
        add_states(encoding, nothing, net, most, window),
        normal_equations(encoding, nothing, net, most),
    )
    assert isinstance(empty, Normal)
    assert isinstance(wanted, Normal)
    assert_same(empty, wanted)


def test_of_groups_each_has_its_own_and_one_without_rows_those_of_all(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 97, 61, 143, 4)  # the last one has no row with a whole horizon
    plan = LessonPlan(K, TINY, Calendar(()), "last")
    encoding = plan.encoding(panel)
    encoding, lesson = in_groups(encoding, plan.lesson(encoding, panel), [1, 2, 1, 3], 4)
    net = Network(Recurrent("lstm", encoding.inputs, H, dtype="float32", seed=5), K, readout="every", seed=5)
    window = normal_equations(encoding, lesson, None, 10**6)
    found, wanted = (
        add_states(encoding, lesson, net, 10**6, window),
        normal_equations(encoding, lesson, net, 10**6),
    )
    assert isinstance(found, Parted)
    assert isinstance(wanted, Parted)
    assert len(found.parts) == len(wanted.parts) == 4
    for a, b in zip(found.parts, wanted.parts, strict=True):
        assert isinstance(a, Normal)
        assert isinstance(b, Normal)
        assert_same(a, b)


def test_an_ensembles_forecasts_are_those_of_sums_made_apart(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = make_panel(rng, 211)
    shared = fit_panel(panel, horizon=K, recipe=NETWORK, seed=2, threads=1)

    def apart(encoding, lesson, net, most_rows, window):  # type: ignore[no-untyped-def]
        return normal_equations(encoding, lesson, net, most_rows)

    monkeypatch.setattr("bptt.forecast.fitting.ensemble.add_states", apart)
    alone = fit_panel(panel, horizon=K, recipe=NETWORK, seed=2, threads=1)
    for a, b in zip(shared.trained.nets, alone.trained.nets, strict=True):
        readout = a.parameters["readout.W_hy"]
        assert readout.any()
        np.testing.assert_allclose(readout, b.parameters["readout.W_hy"], rtol=1e-6, atol=1e-8)


def test_a_member_alone_needs_no_sums_of_others(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 97)
    plan = LessonPlan(K, TINY, Calendar(()), "last")
    encoding = plan.encoding(panel)
    lesson = plan.lesson(encoding, panel)
    window = normal_equations(encoding, lesson, None, TINY.most_rows)
    made = [
        make_member(encoding, lesson, Candidate(TINY, 1.0), 3, lambda *_: None, window=each).normal
        for each in (None, window)
    ]
    assert isinstance(made[0], Normal)
    assert isinstance(made[1], Normal)
    assert_same(made[1], made[0])
