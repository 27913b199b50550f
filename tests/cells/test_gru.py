"""Both published forms of the gated recurrent unit."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.activations import sigmoid
from bptt.cells import GRU, Cell, GRUResetBefore
from bptt.network import Recurrent
from tests.cells.contract import SAME, CellContract, made


class TestGRU(CellContract):
    cell = GRU()


class TestGRUResetBefore(CellContract):
    cell = GRUResetBefore()


@pytest.mark.parametrize("cell", [GRU(), GRUResetBefore()], ids=lambda cell: cell.name)
def test_is_its_equations(cell: Cell, rng: np.random.Generator) -> None:
    stack = made(cell, rng)
    H = stack.hidden_size
    p = {name.removeprefix("layers.0."): value for name, value in stack.parameters.items()}
    x, h_prev = rng.standard_normal((2, 4, stack.input_size)), rng.standard_normal((2, H))
    h, _, _ = stack.forward(x, {"h": h_prev[None]})
    for t in range(4):
        a_x = x[:, t] @ p["W_xh"] + p["b_h"]
        gates = sigmoid(a_x[:, : 2 * H] + h_prev @ p["W_hh"][:, : 2 * H])
        r, z = gates[:, :H], gates[:, H:]
        W_hn = p["W_hh"][:, 2 * H :]
        inside = r * (h_prev @ W_hn + p["b_hn"]) if isinstance(cell, GRU) else (r * h_prev) @ W_hn
        n = np.tanh(a_x[:, 2 * H :] + inside)
        h_prev = (1 - z) * n + z * h_prev
        np.testing.assert_allclose(h[:, t], h_prev, **SAME)


def test_bias_inside_the_reset_product_is_a_bias() -> None:
    assert "layers.0.b_hn" in Recurrent("gru", 2, 3).parameters
    assert "layers.0.b_hn" not in Recurrent("gru", 2, 3, bias=False).parameters
    assert "layers.0.b_hn" not in Recurrent("gru_reset_before", 2, 3).parameters
