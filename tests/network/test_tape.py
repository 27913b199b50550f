"""A tape belongs to the pass that made it: what the caller does to their arrays afterwards does not reach it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.network import Network, Recurrent

B, T, D, H = 3, 6, 2, 4


@pytest.mark.parametrize("shape", [(B, T, D), (1, T, D), (B, 1, D)], ids=["many", "one row", "one step"])
def test_overwriting_inputs_after_the_pass_changes_no_gradient(
    shape: tuple[int, int, int], rng: np.random.Generator
) -> None:
    layer = Recurrent("lstm", D, H, seed=1)
    x = rng.standard_normal(shape)
    state = {name: rng.standard_normal(layer.state_shape(shape[0])) for name in layer.states}
    dh = rng.standard_normal((*shape[:2], H))
    h, final, tape = layer.forward(x, state)
    first = layer.backward(tape, dh)
    x[...] = np.nan
    h[...] = np.nan
    for array in (*state.values(), *final.values()):
        array[...] = np.nan
    second = layer.backward(tape, dh)
    np.testing.assert_array_equal(first.x, second.x)
    for name, gradient in first.parameters.items():
        np.testing.assert_array_equal(gradient, second.parameters[name])


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize(
    "settings", [{"linear_lags": 3, "change_of": [1]}, {"output_activation": "tanh"}, {}]
)
def test_networks_keep_their_inputs_and_predictions_too(
    readout: str, settings: dict[str, Any], rng: np.random.Generator
) -> None:
    net = Network(Recurrent("gru", D, H, seed=1), readout=readout, **settings)
    x = rng.standard_normal((B, T, D))
    found = net.forward(x)
    dy = rng.standard_normal(found.y_hat.shape)
    first = net.backward(found, dy)
    x[...] = np.nan
    found.y_hat[...] = np.nan
    second = net.backward(found, dy)
    for name, gradient in first.parameters.items():
        np.testing.assert_array_equal(gradient, second.parameters[name])
