"""The LSTM, with and without peepholes."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.activations import sigmoid
from bptt.cells import LSTM, Cell, PeepholeLSTM
from bptt.network import Recurrent
from tests.cells.contract import SAME, CellContract, made


class TestLSTM(CellContract):
    cell = LSTM()


class TestPeepholeLSTM(CellContract):
    cell = PeepholeLSTM()


@pytest.mark.parametrize("cell", [LSTM(), PeepholeLSTM()], ids=lambda cell: cell.name)
def test_is_its_equations(cell: Cell, rng: np.random.Generator) -> None:
    stack = made(cell, rng)
    H = stack.hidden_size
    p = {name.removeprefix("layers.0."): value for name, value in stack.parameters.items()}
    peep = [p.get(name, np.zeros(H)) for name in ("p_i", "p_f", "p_o")]
    x = rng.standard_normal((2, 4, stack.input_size))
    h_prev, c_prev = rng.standard_normal((2, H)), rng.standard_normal((2, H))
    h, final, _ = stack.forward(x, {"h": h_prev[None], "c": c_prev[None]})
    for t in range(4):
        a_i, a_f, a_g, a_o = np.split(x[:, t] @ p["W_xh"] + h_prev @ p["W_hh"] + p["b_h"], 4, axis=1)
        i, f = sigmoid(a_i + peep[0] * c_prev), sigmoid(a_f + peep[1] * c_prev)
        c_prev = f * c_prev + i * np.tanh(a_g)
        h_prev = sigmoid(a_o + peep[2] * c_prev) * np.tanh(c_prev)
        np.testing.assert_allclose(h[:, t], h_prev, **SAME)
    np.testing.assert_allclose(final["c"][0], c_prev, **SAME)


@pytest.mark.parametrize("cell", ["lstm", "lstm_peephole"])
def test_forget_bias_starts_at_one(cell: str) -> None:
    b_h = Recurrent(cell, 2, 3).parameters["layers.0.b_h"]
    np.testing.assert_allclose(b_h, [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0], rtol=0, atol=0)


def test_peepholes_of_zero_are_the_plain_lstm(rng: np.random.Generator) -> None:
    with_peepholes, plain = Recurrent("lstm_peephole", 2, 3, seed=4), Recurrent("lstm", 2, 3, seed=4)
    x = rng.standard_normal((3, 5, 2))
    np.testing.assert_allclose(with_peepholes.forward(x)[0], plain.forward(x)[0], **SAME)
