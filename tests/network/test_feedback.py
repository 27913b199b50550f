"""Networks whose output is part of their next input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.network import Network, Recurrent
from bptt.optim import Adam
from tests.network.build import SAME, randomise

B, T, D, H, K = 4, 7, 3, 5, 2


def make(rng: np.random.Generator, cell: str, columns: int, layers: int = 2, **settings: Any) -> Network:
    stack = Recurrent(cell, columns + K, H, num_layers=layers)
    return randomise(Network(stack, K, feedback=True, **{"readout": "every", **settings}), rng)


@pytest.mark.parametrize("columns", [0, D])
@pytest.mark.parametrize("started", [False, True], ids=["from_zero", "from_y_start"])
def test_elman_against_the_loop_written_out(columns: int, started: bool, rng: np.random.Generator) -> None:
    net = make(rng, "elman", columns, layers=1, output_activation="tanh", learned_initial_state=True)
    p = net.parameters
    x = rng.standard_normal((B, T, columns))
    y_start = rng.standard_normal((B, K)) if started else None
    h = np.repeat(p["initial.h"], B, axis=0)
    y = y_start if started else np.zeros((B, K))
    wanted = []
    for t in range(T):
        fed = np.concatenate([x[:, t], y], axis=1)
        h = np.tanh(fed @ p["layers.0.W_xh"] + h @ p["layers.0.W_hh"] + p["layers.0.b_h"])
        y = np.tanh(h @ p["readout.W_hy"] + p["readout.b_y"])
        wanted.append(y)
    found = net.forward(x, y_start=y_start)
    np.testing.assert_allclose(found.y_hat, np.stack(wanted, axis=1), rtol=0, atol=SAME)
    np.testing.assert_allclose(found.state["h"][0], h, rtol=0, atol=SAME)


@pytest.mark.parametrize("cell", ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole"])
def test_it_is_the_open_network_reading_its_own_outputs(cell: str, rng: np.random.Generator) -> None:
    columns = (D, D + 1)
    net = make(rng, cell, D, change_of=columns, change_scale=0.3)
    open_net = Network(
        Recurrent(cell, D + K, H, num_layers=2), K, readout="every", change_of=columns, change_scale=0.3
    )
    for name, p in open_net.parameters.items():
        p[...] = net.parameters[name]
    x, y_start = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    state = {name: rng.standard_normal((2, B, H)) for name in net.recurrent.states}
    found = net.forward(x, state, y_start=y_start)
    fed = np.concatenate([y_start[:, None], found.y_hat[:, :-1]], axis=1)
    wanted = open_net.forward(np.concatenate([x, fed], axis=2), state)
    np.testing.assert_allclose(found.y_hat, wanted.y_hat, rtol=0, atol=SAME * np.abs(found.y_hat).max())
    for name, value in wanted.state.items():
        np.testing.assert_allclose(found.state[name], value, rtol=0, atol=SAME * np.abs(value).max())


def test_readout_last_is_the_last_of_every(rng: np.random.Generator) -> None:
    every, last = make(rng, "lstm", D), make(rng, "lstm", D, readout="last")
    for name, p in last.parameters.items():
        p[...] = every.parameters[name]
    x, dy = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    one, whole = last.forward(x), every.forward(x)
    np.testing.assert_array_equal(one.y_hat, whole.y_hat[:, -1])
    spread = np.zeros((B, T, K))
    spread[:, -1] = dy
    found, wanted = last.backward(one, dy), every.backward(whole, spread)
    for name, gradient in wanted.parameters.items():
        np.testing.assert_array_equal(found.parameters[name], gradient)


def test_the_gradient_runs_through_the_fed_back_output(rng: np.random.Generator) -> None:
    # The last prediction depends on the first input through the readout too: with the recurrent weights at zero
    # that is the only way.
    net = make(rng, "elman", D, layers=1, readout="last")
    net.parameters["layers.0.W_hh"][...] = 0.0
    record = net.forward(rng.standard_normal((B, T, D)))
    dx = net.backward(record, rng.standard_normal((B, K))).x
    assert (dx[:, 0] != 0).any()
    assert net.backward(record, np.ones((B, K)), want_x=False).x is None


def test_chunks_carried_by_state_and_last_output_are_the_whole(rng: np.random.Generator) -> None:
    net = make(rng, "gru", D)
    x = rng.standard_normal((B, T, D))
    whole = net.forward(x)
    first = net.forward(x[:, :3])
    second = net.forward(x[:, 3:], first.state, y_start=first.y_hat[:, -1])
    both = np.concatenate([first.y_hat, second.y_hat], axis=1)
    np.testing.assert_allclose(both, whole.y_hat, rtol=0, atol=SAME)
    np.testing.assert_allclose(second.state["h"], whole.state["h"], rtol=0, atol=SAME)


def test_dropout_differs_from_step_to_step(rng: np.random.Generator) -> None:
    stack = Recurrent("elman", K, 40, num_layers=2, dropout=0.5)
    net = randomise(Network(stack, K, readout="every", feedback=True), rng)
    tape = net.forward(np.zeros((B, T, 0)), dropout_key=(1, 2)).tape
    masks = [step.masks[0] for step in tape.stacks]
    for i in range(T):
        for j in range(i):
            assert (masks[i] != masks[j]).mean() > 0.3


def test_dropout_of_two_updates_shares_no_mask_whatever_their_lengths(rng: np.random.Generator) -> None:
    stack = Recurrent("elman", K, 40, num_layers=2, dropout=0.5)
    net = randomise(Network(stack, K, feedback=True), rng)
    seen = set()
    for number, steps in ((0, 12), (1, 3), (2, 6), (3, 4)):
        tape = net.forward(np.zeros((B, steps, 0)), dropout_key=(1, number)).tape
        seen |= {step.masks[0].tobytes() for step in tape.stacks}
    assert len(seen) == 12 + 3 + 6 + 4


def test_free_running_after_training(rng: np.random.Generator) -> None:
    # Trained on its own outputs, it goes on along the curve that it was shown, from nothing but a start.
    steps = 12
    phase = np.array([0.0, 0.9, 2.1])[:, None, None] + 0.5 * np.arange(steps + 1)[None, :, None]
    series = np.concatenate([np.sin(phase), np.cos(phase)], axis=2)
    start, truth = series[:, 0], series[:, 1:]
    net = Network(Recurrent("gru", 2, 12, seed=1), 2, readout="every", feedback=True)
    x = np.zeros((3, steps, 0))
    optimiser = Adam(0.02)
    slots = optimiser.init(net.parameters)
    for step in range(200):
        found = net.loss_and_gradients(x, truth, y_start=start)
        optimiser.update(net.parameters, found.gradients.parameters, slots, step)
    free = net.generate(start, steps)
    assert np.mean((free - truth) ** 2) < 0.02 * np.var(truth)
    np.testing.assert_array_equal(free, net.forward(x, y_start=start).y_hat)
