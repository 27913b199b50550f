"""Who is told of fused steps: everybody of every step, in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.optim import SGD
from bptt.training import Event
from bptt.training.steps import fused as fused_module
from tests.training.setups import assert_same_bits, copy_of
from tests.training.steps.test_fused import by_hand, rows_of
from tests.training.steps.test_fused_stops import Told, data, make, run

N, T, D, K, B = 53, 6, 3, 2, 7


@pytest.fixture(autouse=True)
def _long_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call make all the steps that it may, on a slow machine too."""
    monkeypatch.setattr(fused_module, "_CALL_SECONDS", 1e9)


def test_who_does_not_look_is_told_of_every_step_in_order(rng: np.random.Generator) -> None:
    source, held_out = data(rng).split_last(0.2)
    told = [Told(looks=looks) for looks in (False, True)]
    for each in told:
        history = run(make(), source, 33, validation=held_out, evaluate_every=8, callbacks=[each])
        assert each.ends == ["finished"]
        assert each.steps == list(range(33))
        assert {event.total_steps for event in each.events} == {33}
        assert each.rows == rows_of(history)
        seen = [
            (event.step + 1, event.validation_loss)
            for event in each.events
            if event.validation_loss is not None
        ]
        assert seen == list(history.validation)
        assert [made for made, _ in seen] == [8, 16, 24, 32, 33]
    assert [event.validation_loss for event in told[0].events] == [
        event.validation_loss for event in told[1].events
    ]


def test_one_that_looks_among_others_is_told_after_each_step(rng: np.random.Generator) -> None:
    weights: list[Any] = []
    hand, source = make(), data(rng)
    callbacks = [Told(looks=False), lambda event: weights.append(copy_of(event.net)), Told(looks=False)]
    run(make(), source, 12, callbacks=callbacks)
    for made in (1, 5, 12):
        by_hand(hand := make(), source, SGD(0.01, momentum=0.9), made, B)
        assert_same_bits(weights[made - 1], hand.parameters)


def test_a_callback_may_hold_the_weights_within_bounds(rng: np.random.Generator) -> None:
    """It changes them in place after every update; the next step starts from there."""

    def bounded(event: Event) -> None:
        for p in event.net.parameters.values():
            np.clip(p, -0.2, 0.2, out=p)

    found = []
    source = data(rng)
    for engine in ("compiled", "numpy"):
        net = make("float64", engine)
        history = run(net, source, 15, callbacks=[bounded])
        found.append((history.losses, *net.parameters.values()))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
