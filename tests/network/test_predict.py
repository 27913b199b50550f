"""Predictions in batches, parameters handed in, and what a pass leaves untouched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.network import Network, Recurrent
from tests.network.build import SAME, SAME32, randomise

B, T, D, H, K = 11, 7, 3, 5, 2
LENGTHS = np.array([7, 2, 5, 1, 7, 3, 3, 6, 4, 7, 1])


def make(rng: np.random.Generator, readout: str, dtype: str = "float64", **settings: Any) -> Network:
    stack = Recurrent("lstm", D, H, num_layers=2, direction="bidirectional", dtype=dtype)
    return randomise(Network(stack, K, readout=readout, linear_lags=3, **settings), rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("batch_size", [1, 4, 11, 1024])
def test_in_batches_is_in_one(readout: str, batch_size: int, dtype: str, rng: np.random.Generator) -> None:
    # Not to the bit: BLAS adds the products of one row in another order than those of many.
    net = make(rng, readout, dtype, learned_initial_state=True)
    x = rng.standard_normal((B, T, D))
    state = {name: rng.standard_normal(net.recurrent.state_shape(B)) for name in ("h", "c")}
    for given in (
        {},
        {"lengths": LENGTHS},
        {"state": state},
        {"lengths": list(LENGTHS), "state": state},
    ):
        one = net.forward(x, given.get("state"), given.get("lengths")).y_hat
        found = net.predict(x, batch_size=batch_size, **given)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, one, rtol=0, atol=SAME if dtype == "float64" else SAME32)


def test_feedback_networks_predict_in_batches_too(rng: np.random.Generator) -> None:
    net = randomise(Network(Recurrent("gru", D + K, H), K, readout="every", feedback=True), rng)
    x = rng.standard_normal((B, T, D))
    np.testing.assert_allclose(net.predict(x, batch_size=4), net.forward(x).y_hat, rtol=0, atol=SAME)


@pytest.mark.parametrize("feedback", [False, True], ids=["windowed", "feedback"])
def test_parameters_handed_in_leave_the_network_untouched(feedback: bool, rng: np.random.Generator) -> None:
    settings: dict[str, Any] = {"feedback": feedback, "learned_initial_state": True}
    columns = D + (K if feedback else 0)
    one, other = (randomise(Network(Recurrent("gru", columns, H), K, **settings), rng) for _ in range(2))
    before = {name: p.copy() for name, p in one.parameters.items()}
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    given = {name: p.copy() for name, p in other.parameters.items()}
    found = one.loss_and_gradients(x, y, parameters=given, want_x=True)
    wanted = other.loss_and_gradients(x, y, want_x=True)
    assert found.loss == wanted.loss == one.loss_value(x, y, parameters=given)
    np.testing.assert_array_equal(found.gradients.x, wanted.gradients.x)
    for name, gradient in wanted.gradients.parameters.items():
        np.testing.assert_array_equal(found.gradients.parameters[name], gradient)
        np.testing.assert_array_equal(one.parameters[name], before[name])
        np.testing.assert_array_equal(given[name], other.parameters[name])
    assert one.loss_value(x, y) != found.loss


@pytest.mark.parametrize("readout", ["last", "every"])
def test_a_pass_without_a_tape_predicts_the_same(readout: str, rng: np.random.Generator) -> None:
    net = make(rng, readout)
    x = rng.standard_normal((B, T, D))
    for lengths in (None, LENGTHS):
        with_tape, without = net.forward(x, None, lengths), net.forward(x, None, lengths, tape=False)
        np.testing.assert_array_equal(with_tape.y_hat, without.y_hat)
        for name, value in with_tape.state.items():
            np.testing.assert_array_equal(without.state[name], value)
        assert without.tape is None


def test_inputs_stay_as_they_are(rng: np.random.Generator) -> None:
    net = make(rng, "every", change_of=(0, 2), learned_initial_state=True)
    x, y, weights = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K)), rng.random((B, T))
    kept = [array.copy() for array in (x, y, weights)]
    for array in (x, y, weights):
        array.flags.writeable = False
    parameters = {name: p.copy() for name, p in net.parameters.items()}
    found = net.loss_and_gradients(x, y, weights=weights, lengths=LENGTHS, want_x=True)
    turned = net.loss_and_gradients(
        np.asfortranarray(x), np.asfortranarray(y), weights=weights, lengths=LENGTHS
    )
    assert turned.loss == pytest.approx(found.loss, rel=SAME, abs=0.0)
    for array, before in zip((x, y, weights), kept, strict=True):
        np.testing.assert_array_equal(array, before)
    for name, p in net.parameters.items():
        np.testing.assert_array_equal(p, parameters[name])


def test_chunks_with_the_state_carried_are_the_whole(rng: np.random.Generator) -> None:
    # Without a linear path, whose newest rows a chunk does not see beyond its own start.
    stack = Recurrent("lstm", D, H, num_layers=2)
    net = randomise(Network(stack, K, readout="every", change_of=(0, 1), learned_initial_state=True), rng)
    x = rng.standard_normal((B, T, D))
    whole = net.forward(x)
    state, parts = None, []
    for start, stop in ((0, 3), (3, 4), (4, T)):
        now = net.forward(x[:, start:stop], state)
        state = now.state
        parts.append(now.y_hat)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole.y_hat, rtol=0, atol=SAME)
    for name, value in whole.state.items():
        np.testing.assert_allclose(state[name], value, rtol=0, atol=SAME)
