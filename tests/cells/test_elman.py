"""The simple recurrent network, with each of its activations."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.activations import FUNCTIONS
from bptt.cells import Elman
from bptt.network import Recurrent
from tests.cells.contract import SAME, CellContract


class TestElmanTanh(CellContract):
    cell = Elman()


class TestElmanRelu(CellContract):
    cell = Elman(activation="relu")


class TestElmanSigmoid(CellContract):
    cell = Elman(activation="sigmoid")


class TestElmanIdentity(CellContract):
    cell = Elman(activation="identity")


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "identity", "softplus"])
def test_is_its_equation(activation: str, rng: np.random.Generator) -> None:
    layer = Recurrent("elman", 2, 3, activation=activation)
    W_xh, W_hh = (layer.parameters[f"layers.0.{name}"] for name in ("W_xh", "W_hh"))
    b_h = layer.parameters["layers.0.b_h"] = rng.standard_normal(3)
    x, h0 = rng.standard_normal((4, 5, 2)), rng.standard_normal((1, 4, 3))
    h, _, _ = layer.forward(x, {"h": h0})
    h_t = h0[0]
    for t in range(5):
        h_t = FUNCTIONS[activation](x[:, t] @ W_xh + h_t @ W_hh + b_h)  # (E1)
        np.testing.assert_allclose(h[:, t], h_t, **SAME)
