"""The latch, the cliff, Pascanu's penalty and the truncated gradient against the complex step and known numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.labs.gradients.cliff import BEGIN, LIMIT, STEP_SIZE, cliff_loss, descend, run_cliff
from bptt.labs.gradients.data import digit_echo, get_task
from bptt.labs.gradients.latch import latch, latch_loss, resting_states, run_latch
from bptt.labs.gradients.penalty import omega, penalised_gradients
from bptt.labs.gradients.remedies import REMEDIES, make_network, train_one, truncated_gradients
from bptt.network import Network, Recurrent

TINY = 1e-30
RTOL = 1e-11


def slope(f: object, array: np.ndarray) -> np.ndarray:
    """Return the derivative of f, called without arguments, with respect to each entry of a complex array."""
    found = np.empty(array.shape)
    for entry in np.ndindex(array.shape):
        array[entry] += 1j * TINY
        found[entry] = np.imag(f()) / TINY  # type: ignore[operator]  # any callable
        array[entry] -= 1j * TINY
    return found


# ---------------------------------------------------------------- Bengio's neuron


def test_resting_states_rest_and_the_threshold_is_where_they_tip() -> None:
    for w in (1.1, 1.25, 2.0, 4.0):
        rest = resting_states(w)
        assert math.tanh(w * rest.high) == pytest.approx(rest.high, rel=1e-12)
        assert rest.slope == pytest.approx(w * (1 - rest.high**2), rel=1e-12)
        assert 0 < rest.slope < 1
        for push, tips in ((0.98, False), (1.02, True)):
            h = rest.high
            for _ in range(5000):
                h = math.tanh(w * h - push * rest.threshold)
            assert (h < 0) is tips
    assert resting_states(0.9).high == 0
    with pytest.raises(InvalidInput, match="weight must be"):
        resting_states(0.0)


def test_the_neurons_gradients_are_those_of_the_complex_step(rng: np.random.Generator) -> None:
    bits, noise = rng.integers(0, 2, 7), 0.4 * rng.standard_normal((9, 7))
    inputs, w = rng.standard_normal((2, 3)), 1.3
    loss, dweight, dinputs, dh = latch_loss(w, bits, inputs, noise)
    moved = latch_loss(w + 1j * TINY, bits, inputs, noise)[0]
    assert dweight == pytest.approx(np.imag(moved) / TINY, rel=RTOL)
    assert loss == pytest.approx(np.real(moved), rel=1e-14)
    z = inputs.astype(complex)
    np.testing.assert_allclose(dinputs, slope(lambda: latch_loss(w, bits, z, noise)[0], z), rtol=RTOL)
    h = latch(w, bits, inputs, noise)
    # One step back: dh_(t-1) = w (1 - h_t^2) dh_t.
    np.testing.assert_allclose(dh[:-1], w * (1 - h[1:] ** 2) * dh[1:], rtol=1e-12)


def test_what_holds_more_safely_has_the_smaller_gradient_and_long_times_are_not_learnt() -> None:
    found = run_latch(seed=1, neurons=3, steps=200)
    small, large = found.ratios
    assert found.ratios[large][0] < 1e-20 * found.ratios[small][0]
    assert found.held[large][-1] >= found.held[small][-1] + 0.1
    assert found.learnt[0] == 1
    assert found.learnt[-1] == 0


# ---------------------------------------------------------------- Pascanu's cliff


def test_the_cliffs_gradient_is_that_of_the_complex_step(rng: np.random.Generator) -> None:
    w, b = rng.uniform(4, 6, (2, 3)), rng.uniform(-2.5, 0, (2, 3))
    loss, dw, db = cliff_loss(w, b, steps=17)
    np.testing.assert_allclose(dw, cliff_loss(w + 1j * TINY, b, steps=17)[0].imag / TINY, rtol=RTOL)
    np.testing.assert_allclose(db, cliff_loss(w, b + 1j * TINY, steps=17)[0].imag / TINY, rtol=RTOL)
    h = 0.5
    for _ in range(17):
        h = w[1, 2] / (1 + math.exp(-h)) + b[1, 2]
    assert loss[1, 2] == pytest.approx((1 / (1 + math.exp(-h)) - 0.7) ** 2, rel=1e-12)


def test_plain_descent_is_thrown_away_and_clipped_descent_is_not() -> None:
    found = run_cliff(points=30)
    assert found.losses.shape == (30, 30)
    for path in (found.plain, found.clipped):
        np.testing.assert_array_equal(path.points[0], BEGIN)
    steps = np.linalg.norm(np.diff(found.plain.points, axis=0), axis=1)
    assert steps.max() > 1
    assert steps.argmax() > 10  # after a quiet way to the wall
    assert np.linalg.norm(np.diff(found.clipped.points, axis=0), axis=1).max() <= STEP_SIZE * LIMIT * (
        1 + 1e-12
    )
    assert found.clipped.norms.max() > 100 * LIMIT
    assert found.clipped.losses[-1] < 0.1 * found.plain.losses[-1]


def test_descent_follows_the_gradient() -> None:
    path = descend((4.0, -1.5), rate=0.1, steps=1)
    _, dw, db = cliff_loss(np.array(4.0), np.array(-1.5))
    np.testing.assert_allclose(path.points[1], [4.0 - 0.1 * dw, -1.5 - 0.1 * db], rtol=1e-14)


# ---------------------------------------------------------------- Pascanu's penalty


def test_the_penaltys_gradient_is_the_immediate_one(rng: np.random.Generator) -> None:
    T, B, H = 5, 3, 4
    W, dh, f = rng.standard_normal((H, H)), rng.standard_normal((T, B, H)), rng.random((T, B, H))
    dh[2, 1] = 0  # a gradient that has vanished adds nothing
    value, dW = omega(W, dh, f)
    z = W.astype(complex)
    np.testing.assert_allclose(dW, slope(lambda: omega(z, dh, f)[0], z), rtol=RTOL)
    # As it is written in the paper, a row and a step at a time.
    wanted = 0.0
    for t in range(1, T):
        for row in range(B):
            if dh[t, row].any():
                back = np.diag(f[t, row]) @ W.T
                wanted += float((np.linalg.norm(dh[t, row] @ back) / np.linalg.norm(dh[t, row]) - 1) ** 2 / B)
    assert value == pytest.approx(wanted, rel=1e-12)


def test_the_penalty_does_not_depend_on_the_gradients_size(rng: np.random.Generator) -> None:
    W, dh = rng.standard_normal((4, 4)), rng.standard_normal((3, 2, 4))
    f = rng.random((3, 2, 4))
    small = omega(W.astype(np.float32), (1e-30 * dh).astype(np.float32), f.astype(np.float32))
    np.testing.assert_allclose(small[1], omega(W, dh, f)[1], rtol=1e-4)


def test_an_orthogonal_linear_network_pays_nothing(rng: np.random.Generator) -> None:
    q, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    value, dW = omega(q, rng.standard_normal((4, 3, 5)), np.ones((4, 3, 5)))
    assert value == pytest.approx(0, abs=1e-28)
    np.testing.assert_allclose(dW, 0, atol=1e-14)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_loss_and_penalty_are_added_and_the_rest_is_the_networks_own(
    activation: str, rng: np.random.Generator
) -> None:
    net = Network(Recurrent("elman", 11, 6, activation=activation), 10, readout="last", loss="cross_entropy")
    x, y = digit_echo(rng, 5, 7)
    plain = net.loss_and_gradients(x, y)
    loss, _, zero = penalised_gradients(net, x, y, 0.0)
    assert loss == pytest.approx(plain.loss, rel=1e-12)
    for name, d in plain.gradients.parameters.items():
        np.testing.assert_allclose(zero[name], d, rtol=1e-10, atol=1e-14)
    _, value, both = penalised_gradients(net, x, y, 0.7)
    W = net.parameters["layers.0.W_hh"]
    h, _, tape = net.recurrent.forward(x)
    slopes = 1 - h**2 if activation == "tanh" else (h > 0).astype(float)
    moved = both["layers.0.W_hh"] - zero["layers.0.W_hh"]
    dh = np.empty((7 + 1, 5, 6))  # of the states, by the tail of the sequence
    for t in range(8):
        state = {"h": tape.tapes[0].states["h"][t + 1][None]}
        if t < 7:
            dh[t] = net.loss_and_gradients(x[:, t + 1 :], y, state=state).gradients.state["h"][0]  # type: ignore[index]
    _, dy = net.loss.value_and_gradient(net.forward(x).y_hat, y, None)
    dh[7] = dy @ net.parameters["readout.W_hy"].T
    wanted, dW = omega(W, dh, slopes.transpose(1, 0, 2))
    assert value == pytest.approx(float(wanted), rel=1e-9)
    np.testing.assert_allclose(moved, 0.7 * dW, rtol=1e-7, atol=1e-12)


def test_the_penalty_is_for_elman_networks(rng: np.random.Generator) -> None:
    net = Network(Recurrent("lstm", 11, 3), 10, loss="cross_entropy")
    with pytest.raises(
        InvalidInput, match=r"^net must be one Elman layer .* for Pascanu's penalty\. Got Recurrent\(LSTM"
    ):
        penalised_gradients(net, *digit_echo(rng, 2, 3), 1.0)


# ---------------------------------------------------------------- remedies


def test_truncation_leaves_the_readouts_gradient_and_cuts_the_rest(rng: np.random.Generator) -> None:
    task = get_task("echo")
    net = make_network(REMEDIES["none"], task, 0, dtype="float64")
    x, y = task.draw(rng, 4, 9)
    full = net.loss_and_gradients(x, y)
    loss, cut = truncated_gradients(net, x, y, 3)
    assert loss == pytest.approx(full.loss, rel=1e-12)
    np.testing.assert_allclose(cut["readout.W_hy"], full.gradients.parameters["readout.W_hy"], rtol=1e-9)
    assert not np.any(
        cut["layers.0.W_xh"][10]
    )  # the mark is at the first step, which the gradient does not see
    assert np.any(full.gradients.parameters["layers.0.W_xh"][10])
    for steps in (10, 30):
        whole = truncated_gradients(net, x, y, steps)[1]
        for name, d in full.gradients.parameters.items():
            np.testing.assert_allclose(whole[name], d, rtol=1e-9, atol=1e-15)


def test_pre_programmed_latches_hold_every_digit_before_training(rng: np.random.Generator) -> None:
    net = make_network(REMEDIES["programmed"], get_task("echo"), 3, dtype="float64")
    x, y = digit_echo(rng, 300, 150)
    h = net.recurrent.forward(x)[0][:, -1, :10]
    np.testing.assert_array_equal(h.argmax(axis=1), y)
    assert (np.sort(h, axis=1)[:, :9] < -0.5).all()
    assert (h.max(axis=1) > 0.5).all()


def test_every_remedy_starts_from_what_it_says() -> None:
    task = get_task("adding")
    for remedy in REMEDIES.values():
        if "adding" not in remedy.tasks:
            continue
        net = make_network(remedy, task, 0)
        assert net.recurrent.cell.name == remedy.cell
        assert net.dtype == np.float32
    W = make_network(REMEDIES["orthogonal"], task, 0, dtype="float64").parameters["layers.0.W_hh"]
    np.testing.assert_allclose(W @ W.T, np.eye(len(W)), atol=1e-12)
    b = make_network(REMEDIES["lstm_keep"], task, 0).parameters["layers.0.b_h"]
    np.testing.assert_array_equal(b.reshape(4, -1)[1], 4)
    assert np.abs(make_network(REMEDIES["none"], task, 0).parameters["layers.0.W_hh"]).max() <= 32**-0.5


@pytest.mark.parametrize("name", ["orthogonal", "omega", "truncated", "l2", "gru_keep"])
def test_training_ends_early_where_it_succeeds_and_says_where_it_does_not(name: str) -> None:
    task = get_task("echo")
    _, found = train_one(REMEDIES[name], task, 1, 0, steps=600)
    assert found.solved
    assert found.score >= task.enough
    assert 50 <= found.steps < 600
    assert not found.diverged
    net, failed = train_one(REMEDIES[name], task, 40, 0, steps=5)
    assert not failed.solved
    assert failed.steps == 5
    assert net.parameters["readout.W_hy"].any()
