"""Keras' weights, in and out, against its equations written out step by step."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.interop import from_keras, to_keras
from bptt.network import Network, Recurrent
from tests.pytorch_names import Array

# The same sums in another order, a few steps deep.
AGREES = 1e-13

B, T, D, H, K = 3, 6, 4, 5, 2
GATES = {"elman": 1, "gru": 3, "gru_reset_before": 3, "lstm": 4}


def sigmoid(a: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-a)))


def keras_layer(x: Array, weights: list[Array], cell: str, backwards: bool = False) -> Array:
    """Return the outputs (B, T, H) of one Keras layer, from its documented equations, in the input's order."""
    kernel, recurrent, *rest = weights
    units = len(recurrent)
    h, c = np.zeros((len(x), units)), np.zeros((len(x), units))
    outputs = np.zeros((*x.shape[:2], units))
    zeros = np.zeros(kernel.shape[1])
    bias = rest[0] if rest else np.stack([zeros, zeros]) if cell == "gru" else zeros
    steps = range(x.shape[1])
    for t in reversed(steps) if backwards else steps:
        if cell == "elman":
            h = np.tanh(x[:, t] @ kernel + bias + h @ recurrent)
        elif cell == "lstm":
            i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif cell == "gru":
            x_z, x_r, x_h = np.split(x[:, t] @ kernel + bias[0], 3, axis=1)
            h_z, h_r, h_h = np.split(h @ recurrent + bias[1], 3, axis=1)
            z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
            h = z * h + (1 - z) * np.tanh(x_h + r * h_h)
        else:
            x_z, x_r, x_h = np.split(x[:, t] @ kernel + bias, 3, axis=1)
            U_z, U_r, U_h = np.split(recurrent, 3, axis=1)
            z, r = sigmoid(x_z + h @ U_z), sigmoid(x_r + h @ U_r)
            h = z * h + (1 - z) * np.tanh(x_h + (r * h) @ U_h)
        outputs[:, t] = h
    return outputs


def draw(cell: str, rng: np.random.Generator, layers: int, both: bool, bias: bool) -> list[list[Array]]:
    """Return random weights, a list a layer."""
    G = GATES[cell]
    shape = (2, G * H) if cell == "gru" else (G * H,)
    found = []
    for layer in range(layers):
        inputs = D if layer == 0 else H * (1 + both)
        arrays: list[Array] = []
        for _ in range(1 + both):
            arrays += [rng.standard_normal((inputs, G * H)) * 0.5, rng.standard_normal((H, G * H)) * 0.4]
            arrays += [rng.standard_normal(shape)] if bias else []
        found.append(arrays)
    return found


def wanted(x: Array, layers: list[list[Array]], cell: str, both: bool, bias: bool, backwards: bool) -> Array:
    n = 3 if bias else 2
    for arrays in layers:
        if both:
            one, other = keras_layer(x, arrays[:n], cell), keras_layer(x, arrays[n:], cell, True)
            x = np.concatenate([one, other], axis=2)
        else:
            x = keras_layer(x, arrays, cell, backwards)
    return x


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("cell", GATES)
def test_in_and_out(cell: str, bias: bool, rng: np.random.Generator) -> None:
    x = rng.standard_normal((B, T, D))
    after = {"gru": True, "gru_reset_before": False}.get(cell)
    for layers, both, backwards in ((1, False, False), (2, False, True), (2, True, False)):
        weights = draw(cell, rng, layers, both, bias)
        # The bias says it, where there is one.
        options: dict[str, Any] = {} if bias or after is None else {"reset_after": after}
        stack = from_keras(weights, go_backwards=backwards, engine="numpy", **options)
        assert stack.cell.name == cell
        assert stack.dtype == np.float64
        found, _, _ = stack.forward(x)
        expected = wanted(x, weights, cell, both, bias, backwards)
        np.testing.assert_allclose(found, expected, rtol=0, atol=AGREES)
        out = to_keras(stack)
        assert [[a.shape for a in group] for group in out] == [[a.shape for a in group] for group in weights]
        np.testing.assert_allclose(wanted(x, out, cell, both, bias, backwards), expected, rtol=0, atol=AGREES)
        again = from_keras(out, go_backwards=backwards, **options)
        for name, p in stack.parameters.items():
            np.testing.assert_array_equal(again.parameters[name], p, err_msg=name)
            assert not any(np.shares_memory(p, a) for group in out for a in group)


def test_one_layer_as_get_weights_gives_it(rng: np.random.Generator) -> None:
    (weights,) = draw("lstm", rng, 1, True, True)
    one, other = from_keras(weights), from_keras([weights])
    assert one.config() == other.config()
    assert one.direction == "bidirectional"
    for name, p in one.parameters.items():
        np.testing.assert_array_equal(other.parameters[name], p)
    assert from_keras([a.astype(np.float32) for a in weights]).dtype == np.float32
    assert from_keras(weights, dtype="float32").dtype == np.float32


def test_activations_of_a_simple_rnn(rng: np.random.Generator) -> None:
    (weights,) = draw("elman", rng, 1, False, True)
    for keras, ours in (("tanh", "tanh"), ("relu", "relu"), ("linear", "identity"), ("softplus", "softplus")):
        assert from_keras(weights, activation=keras).cell.options["activation"] == ours


def test_networks(rng: np.random.Generator) -> None:
    weights, x = draw("gru", rng, 2, True, True), rng.standard_normal((B, T, D))
    dense = [rng.standard_normal((2 * H, K)), rng.standard_normal(K)]
    net = from_keras(weights, dense=dense, readout="every", loss="huber", engine="numpy")
    expected = wanted(x, weights, "gru", True, True, False) @ dense[0] + dense[1]
    np.testing.assert_allclose(net.predict(x), expected, rtol=0, atol=AGREES)
    *layers, readout = to_keras(net)
    again = from_keras(layers, dense=readout, readout="every", loss="huber")
    assert again.config() == net.config()
    np.testing.assert_array_equal(again.parameters["readout.b_y"], dense[1])
    no_bias = from_keras(weights, dense=dense[:1])
    assert not no_bias.bias
    assert len(to_keras(no_bias)[-1]) == 1


def test_refused(rng: np.random.Generator) -> None:
    (lstm,) = draw("lstm", rng, 1, False, True)
    (gru,) = draw("gru", rng, 1, False, True)
    two = draw("gru", rng, 2, True, True)
    stack = Recurrent("lstm_peephole", D, H)
    cases: list[tuple[Any, str]] = [
        (lambda: from_keras(lstm, activation="relu"), "activation must be left out"),
        (
            lambda: from_keras(draw("elman", rng, 1, False, True), activation="elu"),
            "activation must be one of",
        ),
        (lambda: from_keras(lstm, reset_after=True), "reset_after must be left out"),
        (lambda: from_keras(gru, reset_after=False), "must come with a bias of shape (3 H,)"),
        (lambda: from_keras(two, go_backwards=True), "go_backwards must be left out"),
        (lambda: from_keras(lstm[:1]), "must hold a kernel"),
        (lambda: from_keras([lstm[2], lstm[1]]), "begin with two matrices"),
        (lambda: from_keras([lstm[0], lstm[1][:, :7]]), "G = 1, 3 or 4"),
        (lambda: from_keras([lstm[0][:, :4], lstm[1]]), f"kernel must have shape ({D}, {4 * H})"),
        (lambda: from_keras([two[0], two[1][:3]]), "layers[1] must hold 6 arrays"),
        (lambda: from_keras([two[0], two[0]]), f"layers[1]: kernel must have shape ({2 * H}, {3 * H})"),
        (lambda: from_keras(lstm, dense=[np.ones((H + 1, 2))]), f"(H, K) = ({H}, *)"),
        (lambda: from_keras(lstm, readout="last"), "readout must be left out"),  # type: ignore[call-overload]
        (lambda: to_keras(stack), "Keras has no other"),
        (lambda: to_keras(Network(Recurrent("gru", D, H), linear_lags=2)), "linear_lags"),
    ]
    for call, words in cases:
        with pytest.raises(InvalidInput, match=re.escape(words)) as caught:
            call()
        assert "Got" in str(caught.value)
        assert "\n" not in str(caught.value)
    for wrong in ("lstm", [], 7, [np.array(["a"])], [lstm, lstm[0]]):
        with pytest.raises(InvalidType, match="Got"):
            from_keras(wrong)  # type: ignore[call-overload]
    with pytest.raises(InvalidType, match=r"net must be a Recurrent or a Network\. Got list"):
        to_keras(lstm)  # type: ignore[arg-type]
