"""The change target: predictions as the last value plus a learned change."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.network import Network, Recurrent
from tests.network.build import SAME, randomise

B, T, D, H = 4, 7, 3, 5
LENGTHS = np.array([7, 2, 5, 1])


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("activation", ["identity", "tanh", "relu"])
def test_with_a_silent_readout_it_is_persistence_exactly(
    direction: str, activation: str, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((B, T, D))
    for readout in ("last", "every"):
        stack = Recurrent("lstm", D, H, direction=direction)
        net = Network(
            stack, 2, readout=readout, change_of=(2, 0), change_scale=0.3, output_activation=activation
        )
        randomise(net, rng)
        net.parameters["readout.W_hy"][...] = 0.0
        net.parameters["readout.b_y"][...] = 0.0
        found = net.forward(x).y_hat
        np.testing.assert_array_equal(found, x[:, -1][:, [2, 0]] if readout == "last" else x[:, :, [2, 0]])
        ragged = net.forward(x, None, LENGTHS).y_hat
        if readout == "last":
            np.testing.assert_array_equal(ragged, x[np.arange(B), LENGTHS - 1][:, [2, 0]])
        else:
            inside = (np.arange(T) < LENGTHS[:, None])[:, :, None]
            np.testing.assert_array_equal(ragged, np.where(inside, x[:, :, [2, 0]], 0.0))


def test_the_change_is_the_scaled_readout(rng: np.random.Generator) -> None:
    x = rng.standard_normal((B, T, D))
    level = randomise(Network(Recurrent("gru", D, H), 2, output_activation="tanh", linear_lags=2), rng)
    change = Network(
        Recurrent("gru", D, H),
        2,
        output_activation="tanh",
        linear_lags=2,
        change_of=np.array([1, 1]),
        change_scale=0.3,
    )
    for name, p in change.parameters.items():
        p[...] = level.parameters[name]
    wanted = x[:, -1][:, [1, 1]] + 0.3 * level.forward(x).y_hat
    np.testing.assert_allclose(change.forward(x).y_hat, wanted, rtol=0, atol=SAME)
    assert change.config()["change_of"] == [1, 1]
