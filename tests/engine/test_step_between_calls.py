"""A compiled step is kept from call to call: what one call set must not stay for the next."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.engine import threads, use_threads
from bptt.engine.compiled import route
from bptt.network import Network, Recurrent

T, B, D, H, K = 5, 37, 3, 7, 2


def make(loss: str, readout: str) -> Network:
    stack = Recurrent("gru", D, H, num_layers=2, engine="compiled", seed=3)
    return Network(stack, K, loss=loss, readout=readout, seed=3)


def draw(loss: str, readout: str, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    x, shape = rng.standard_normal((B, T, D)), (B, T) if readout == "every" else (B,)
    y = rng.integers(0, K, shape) if loss == "cross_entropy" else rng.standard_normal((*shape, K))
    return x, y, rng.uniform(0.1, 2, shape)


def same(found: Any, expected: Any, what: object) -> None:
    assert found.loss == expected.loss, what
    for name, values in expected.gradients.parameters.items():
        np.testing.assert_array_equal(found.gradients.parameters[name], values, err_msg=f"{name}, {what}")


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_weights_belong_to_their_call(loss: str, readout: str, rng: np.random.Generator) -> None:
    x, y, weights = draw(loss, readout, rng)
    alone = {
        key: make(loss, readout).loss_and_gradients(x, y, weights=given)
        for key, given in (("plain", None), ("weighted", weights))
    }
    assert alone["plain"].loss != alone["weighted"].loss
    net = make(loss, readout)
    for key in ("plain", "weighted", "plain", "plain", "weighted", "weighted", "plain"):
        given = weights if key == "weighted" else None
        same(net.loss_and_gradients(x, y, weights=given), alone[key], key)


def test_the_number_of_threads_may_change_between_calls(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WORTH", 0), ("LARGE", 0), ("FEWEST", 1)):
        monkeypatch.setattr(route, name, value)
    monkeypatch.setattr(threads, "available_cpus", lambda: 16)
    route.find_route.cache_clear()
    try:
        x, y, _ = draw("mse", "every", rng)
        net = make("mse", "every")
        with use_threads(1):
            expected = net.loss_and_gradients(x, y)
        (step,) = net._idle_steps.steps
        layers = step.layers
        for count in (3, 2, 1, 3):
            with use_threads(count):
                same(net.loss_and_gradients(x, y), expected, count)
            if count > 1:
                members = [layer._members for layer in layers]
                # As many arrays of arguments as the threads that the layer is now shared by.
                assert [each.members for each in members] == [count] * len(members)
    finally:
        route.find_route.cache_clear()
