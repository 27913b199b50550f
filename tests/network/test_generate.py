"""Free running: predictions fed back as inputs."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.network import Network, Recurrent
from tests.network.build import SAME, randomise

B, T, D, H = 4, 7, 3, 5
STEPS = 6


def test_readout_last_slides_its_window(rng: np.random.Generator) -> None:
    for lags in (0, 2):
        net = randomise(Network(Recurrent("gru", D, H), D, linear_lags=lags, change_of=range(D)), rng)
        x0 = rng.standard_normal((B, T, D))
        window, wanted = x0, []
        for _ in range(STEPS):
            wanted.append(net.predict(window))
            window = np.concatenate([window[:, 1:], wanted[-1][:, None]], axis=1)
        np.testing.assert_array_equal(net.generate(x0, STEPS), np.stack(wanted, axis=1))


@pytest.mark.parametrize("lags", [0, 1, 3, T + 9])
@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_readout_every_carries_its_state(cell: str, lags: int, rng: np.random.Generator) -> None:
    # What it makes is what it predicts when it is given all that it made before, from the first step on.
    stack = Recurrent(cell, D, H, num_layers=2)
    net = Network(
        stack, D, readout="every", linear_lags=lags, learned_initial_state=True, output_activation="tanh"
    )
    randomise(net, rng)
    x0 = rng.standard_normal((B, T, D))
    made = net.generate(x0, STEPS)
    seen = np.concatenate([x0, made[:, :-1]], axis=1)
    np.testing.assert_allclose(made, net.forward(seen).y_hat[:, T - 1 :], rtol=0, atol=SAME)


def test_feedback_starts_from_a_value(rng: np.random.Generator) -> None:
    net = randomise(Network(Recurrent("lstm", D, H), D, readout="every", feedback=True), rng)
    y_start = rng.standard_normal((B, D))
    state = net.recurrent.zero_state(B)
    y, wanted = y_start, []
    for _ in range(STEPS):
        h, state, _ = net.recurrent.forward(y[:, None], state)
        y = h[:, 0] @ net.parameters["readout.W_hy"] + net.parameters["readout.b_y"]
        wanted.append(y)
    np.testing.assert_allclose(net.generate(y_start, STEPS), np.stack(wanted, axis=1), rtol=0, atol=SAME)


def test_one_step_is_a_prediction(rng: np.random.Generator) -> None:
    x0 = rng.standard_normal((B, T, D))
    for readout in ("last", "every"):
        net = randomise(Network(Recurrent("gru", D, H), D, readout=readout), rng)
        y_hat = net.predict(x0)
        np.testing.assert_array_equal(net.generate(x0, 1)[:, 0], y_hat if readout == "last" else y_hat[:, -1])
