"""Readouts, output activations and the learned initial state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.losses import CrossEntropy
from bptt.network import Network, Recurrent
from tests.network.build import SAME, randomise

B, T, D, H, K = 4, 7, 3, 5, 2
LENGTHS = np.array([7, 2, 5, 1])
ROWS = np.arange(B)

ACTIVATIONS: dict[str, Any] = {
    "identity": lambda a: a,
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0),
    "softplus": lambda a: np.log1p(np.exp(a)),
}


def pair(rng: np.random.Generator, cell: str = "lstm", **settings: Any) -> tuple[Network, Network]:
    """Return two networks of the same weights, with readout "last" and "every"."""
    direction = settings.pop("direction", "forward")
    made = [
        Network(Recurrent(cell, D, H, num_layers=2, direction=direction), K, readout=readout, **settings)
        for readout in ("last", "every")
    ]
    last, every = made
    randomise(every, rng)
    for name, p in last.parameters.items():
        p[...] = every.parameters[name]
    return last, every


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_prediction_is_the_activated_affine_map_of_the_output(
    activation: str, rng: np.random.Generator
) -> None:
    last, every = pair(rng, output_activation=activation)
    x = rng.standard_normal((B, T, D))
    h, state, _ = every.recurrent.forward(x, None, LENGTHS)
    W, b = every.parameters["readout.W_hy"], every.parameters["readout.b_y"]
    inside = (np.arange(T) < LENGTHS[:, None])[:, :, None]
    f = ACTIVATIONS[activation]
    wanted = np.where(inside, f(h @ W + b), 0.0)
    np.testing.assert_allclose(every.forward(x, None, LENGTHS).y_hat, wanted, rtol=0, atol=SAME)
    np.testing.assert_allclose(
        last.forward(x, None, LENGTHS).y_hat, f(state["h"][-1] @ W + b), rtol=0, atol=SAME
    )


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("cell", ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole"])
def test_last_is_every_at_the_last_valid_step(cell: str, ragged: bool, rng: np.random.Generator) -> None:
    last, every = pair(rng, cell, linear_lags=3, change_of=(2, 0), change_scale=0.3, output_activation="tanh")
    lengths = LENGTHS if ragged else None
    ends = (LENGTHS if ragged else np.full(B, T)) - 1
    x, dy = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    one, all_steps = last.forward(x, None, lengths), every.forward(x, None, lengths)
    np.testing.assert_allclose(one.y_hat, all_steps.y_hat[ROWS, ends], rtol=0, atol=SAME)
    for name, value in one.state.items():
        np.testing.assert_array_equal(value, all_steps.state[name])
    spread = np.zeros((B, T, K))
    spread[ROWS, ends] = dy
    found, wanted = last.backward(one, dy), every.backward(all_steps, spread)
    np.testing.assert_allclose(found.x, wanted.x, rtol=0, atol=SAME * np.abs(wanted.x).max())
    for name, gradient in wanted.parameters.items():
        np.testing.assert_allclose(
            found.parameters[name], gradient, rtol=0, atol=SAME * np.abs(gradient).max()
        )


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
def test_last_of_both_directions_reads_both_final_states(ragged: bool, rng: np.random.Generator) -> None:
    last, every = pair(rng, direction="bidirectional")
    lengths = LENGTHS if ragged else None
    ends = (LENGTHS if ragged else np.full(B, T)) - 1
    x = rng.standard_normal((B, T, D))
    h, state, _ = last.recurrent.forward(x, None, lengths)
    features = np.concatenate([state["h"][-2], state["h"][-1]], axis=1)
    # The forward direction ends at each row's last step, the reverse one at its first.
    np.testing.assert_array_equal(features[:, :H], h[ROWS, ends, :H])
    np.testing.assert_array_equal(features[:, H:], h[:, 0, H:])
    wanted = features @ last.parameters["readout.W_hy"] + last.parameters["readout.b_y"]
    np.testing.assert_allclose(last.forward(x, None, lengths).y_hat, wanted, rtol=0, atol=SAME)
    assert np.abs(every.forward(x, None, lengths).y_hat[ROWS, ends] - wanted).max() > 0.01


def test_last_of_a_reverse_stack_has_read_the_first_step(rng: np.random.Generator) -> None:
    last, every = pair(rng, direction="reverse")
    x = rng.standard_normal((B, T, D))
    np.testing.assert_allclose(
        last.forward(x, None, LENGTHS).y_hat, every.forward(x, None, LENGTHS).y_hat[:, 0], rtol=0, atol=SAME
    )


@pytest.mark.parametrize("readout", ["last", "every"])
def test_a_learned_initial_state_is_the_same_state_for_every_row(
    readout: str, rng: np.random.Generator
) -> None:
    stack = Recurrent("lstm", D, H, num_layers=2, direction="bidirectional")
    net = Network(stack, K, readout=readout, learned_initial_state=True)
    assert not any(net.parameters[f"initial.{name}"].any() for name in ("h", "c")), "it starts at zero"
    randomise(net, rng)
    x = rng.standard_normal((B, T, D))
    state = {
        name: np.broadcast_to(net.parameters[f"initial.{name}"][:, None], stack.state_shape(B))
        for name in stack.states
    }
    np.testing.assert_array_equal(net.forward(x).y_hat, net.forward(x, state).y_hat)
    other = {name: value + 0.5 for name, value in state.items()}
    assert np.abs(net.forward(x).y_hat - net.forward(x, other).y_hat).max() > 0.01


def test_the_learned_states_gradient_is_the_sum_over_rows(rng: np.random.Generator) -> None:
    stack = Recurrent("gru", D, H, num_layers=2)
    net = randomise(Network(stack, K, learned_initial_state=True), rng)
    record = net.forward(rng.standard_normal((B, T, D)))
    found = net.backward(record, rng.standard_normal((B, K)))
    assert found.parameters["initial.h"].shape == (2, H)
    np.testing.assert_allclose(found.parameters["initial.h"], found.state["h"].sum(axis=1), rtol=0, atol=SAME)


def test_backward_takes_the_gradient_of_the_final_state_alone(rng: np.random.Generator) -> None:
    for readout in ("last", "every"):
        net = randomise(Network(Recurrent("lstm", D, H), K, readout=readout), rng)
        x = rng.standard_normal((B, T, D))
        dstate = {"c": rng.standard_normal((1, B, H))}
        found = net.backward(net.forward(x), None, dstate)
        _, _, tape = net.recurrent.forward(x)
        wanted = net.recurrent.backward(tape, None, dstate)
        np.testing.assert_allclose(found.x, wanted.x, rtol=0, atol=SAME)
        assert not found.parameters["readout.W_hy"].any()


def test_class_numbers_past_a_rows_end_are_not_read(rng: np.random.Generator) -> None:
    net = randomise(Network(Recurrent("gru", D, H), 4, readout="every", loss=CrossEntropy()), rng)
    x, y = rng.standard_normal((B, T, D)), rng.integers(4, size=(B, T))
    inside = np.arange(T) < LENGTHS[:, None]
    clean = net.loss_and_gradients(x, y, lengths=LENGTHS, want_x=True)
    found = net.loss_and_gradients(
        np.where(inside[:, :, None], x, np.nan), np.where(inside, y, -100), lengths=LENGTHS, want_x=True
    )
    assert found.loss == clean.loss
    np.testing.assert_array_equal(found.gradients.x, clean.gradients.x)


def test_gradients_of_predictions_past_a_rows_end_are_not_read(rng: np.random.Generator) -> None:
    stack = Recurrent("gru", D, H, direction="bidirectional")
    net = randomise(Network(stack, K, readout="every", linear_lags=4, change_of=(1, 2)), rng)
    record = net.forward(rng.standard_normal((B, T, D)), None, LENGTHS)
    inside = (np.arange(T) < LENGTHS[:, None])[:, :, None]
    dy_hat = rng.standard_normal((B, T, K))
    clean = net.backward(record, np.where(inside, dy_hat, 0.0))
    found = net.backward(record, np.where(inside, dy_hat, np.nan))
    np.testing.assert_array_equal(found.x, clean.x)
    assert not found.x[~inside[:, :, 0]].any()
    for name, gradient in clean.parameters.items():
        np.testing.assert_array_equal(found.parameters[name], gradient)


@pytest.mark.parametrize("readout", ["last", "every"])
def test_nan_in_padding_reaches_no_number(readout: str, rng: np.random.Generator) -> None:
    stack = Recurrent("gru", D, H, direction="bidirectional")
    net = Network(stack, K, readout=readout, linear_lags=4, change_of=(1, 2), learned_initial_state=True)
    randomise(net, rng)
    inside = (np.arange(T) < LENGTHS[:, None])[:, :, None]
    x = np.where(inside, rng.standard_normal((B, T, D)), np.nan)
    y = rng.standard_normal((B, K) if readout == "last" else (B, T, K))
    if readout == "every":
        y = np.where(inside, y, np.nan)
    found = net.loss_and_gradients(x, y, lengths=LENGTHS, want_x=True)
    assert np.isfinite(found.loss)
    assert np.isfinite(found.y_hat).all()
    assert np.isfinite(found.gradients.x).all()
    assert all(np.isfinite(g).all() for g in found.gradients.parameters.values())
    clean = net.loss_and_gradients(np.nan_to_num(x), np.nan_to_num(y), lengths=LENGTHS, want_x=True)
    assert clean.loss == found.loss
    for name, gradient in clean.gradients.parameters.items():
        np.testing.assert_array_equal(found.gradients.parameters[name], gradient)


def test_the_loss_value_alone_is_the_same_number(rng: np.random.Generator) -> None:
    net = randomise(Network(Recurrent("gru", D, H), K, readout="every", loss="huber"), rng)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    for weights in (None, np.array([1.0, 0.0, 2.0, 0.5]), rng.random((B, T))):
        for lengths in (None, LENGTHS):
            given: dict[str, Any] = {"weights": weights, "lengths": lengths}
            found = net.loss_and_gradients(x, y, **given).loss
            # The compiled step adds the same terms in another order.
            assert net.loss_value(x, y, **given) == pytest.approx(found, rel=4e-16, abs=0.0)


def test_a_row_weight_is_the_row_repeated(rng: np.random.Generator) -> None:
    net = randomise(Network(Recurrent("gru", D, H), K, readout="every"), rng)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    counts = np.array([1, 3, 0, 2])
    weighted = net.loss_and_gradients(x, y, weights=counts, lengths=LENGTHS)
    repeated = net.loss_and_gradients(
        np.repeat(x, counts, axis=0), np.repeat(y, counts, axis=0), lengths=np.repeat(LENGTHS, counts)
    )
    assert weighted.loss == pytest.approx(repeated.loss, rel=SAME, abs=0.0)
    for name, gradient in repeated.gradients.parameters.items():
        np.testing.assert_allclose(
            weighted.gradients.parameters[name], gradient, rtol=0, atol=SAME * np.abs(gradient).max()
        )
