"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers, Schmidhuber and Cummins 2000).

Derivation: docs/cells/lstm.md. Gate order and equations are PyTorch's; the peepholes are those of Gers,
Schraudolph and Schmidhuber 2002 (JMLR 3), diagonal.
"""

from __future__ import annotations

from typing import Any

from bptt.activations import sigmoid, tanh
from bptt.cells.protocol import Cell


class LSTM(Cell):
    """Input, forget and output gates around a cell state c. The forget gate's bias starts at 1."""

    name = "lstm"
    states = ("h", "c")
    gates = ("i", "f", "g", "o")
    bias_start = {"f": 1.0}  # Jozefowicz, Zaremba and Sutskever 2015: remember until taught otherwise

    @staticmethod
    def forward(a_i: Any, a_f: Any, a_g: Any, a_o: Any, c_prev: Any) -> Any:
        i = sigmoid(a_i)  # (L1)
        f = sigmoid(a_f)  # (L2)
        g = tanh(a_g)  # (L3)
        o = sigmoid(a_o)  # (L4)
        c = f * c_prev + i * g  # (L5)
        s = tanh(c)  # (L6)
        h = o * s  # (L7)
        return h, c, i, f, g, o, s

    @staticmethod
    def backward(dh: Any, dc: Any, i: Any, f: Any, g: Any, o: Any, s: Any, c_prev: Any) -> Any:
        do = dh * s  # (L7)'
        ds = dh * o
        dc_t = dc + ds * (1 - s * s)  # (L6)'
        dc_prev = dc_t * f  # (L5)'
        df = dc_t * c_prev
        di = dc_t * g
        dg = dc_t * i
        da_o = do * o * (1 - o)  # (L4)'
        da_g = dg * (1 - g * g)  # (L3)'
        da_f = df * f * (1 - f)  # (L2)'
        da_i = di * i * (1 - i)  # (L1)'
        return da_i, da_f, da_g, da_o, dc_prev


class PeepholeLSTM(Cell):
    """The LSTM whose gates also see the cell state: i and f the old one, o the new one."""

    name = "lstm_peephole"
    states = ("h", "c")
    gates = ("i", "f", "g", "o")
    vectors = {"p_i": 0.0, "p_f": 0.0, "p_o": 0.0}
    bias_start = {"f": 1.0}

    @staticmethod
    def forward(a_i: Any, a_f: Any, a_g: Any, a_o: Any, c_prev: Any, p_i: Any, p_f: Any, p_o: Any) -> Any:
        i = sigmoid(a_i + p_i * c_prev)  # (P1)
        f = sigmoid(a_f + p_f * c_prev)  # (P2)
        g = tanh(a_g)  # (P3)
        c = f * c_prev + i * g  # (P4)
        o = sigmoid(a_o + p_o * c)  # (P5)
        s = tanh(c)  # (P6)
        h = o * s  # (P7)
        return h, c, i, f, g, o, s

    @staticmethod
    def backward(
        dh: Any,
        dc: Any,
        i: Any,
        f: Any,
        g: Any,
        o: Any,
        s: Any,
        c: Any,
        c_prev: Any,
        p_i: Any,
        p_f: Any,
        p_o: Any,
    ) -> Any:
        do = dh * s  # (P7)'
        ds = dh * o
        da_o = do * o * (1 - o)  # (P5)'
        dp_o = da_o * c
        dc_t = dc + ds * (1 - s * s) + da_o * p_o  # (P6)', (P5)'
        da_g = dc_t * i * (1 - g * g)  # (P4)', (P3)'
        da_f = dc_t * c_prev * f * (1 - f)  # (P4)', (P2)'
        dp_f = da_f * c_prev
        da_i = dc_t * g * i * (1 - i)  # (P4)', (P1)'
        dp_i = da_i * c_prev
        dc_prev = dc_t * f + da_f * p_f + da_i * p_i
        return da_i, da_f, da_g, da_o, dc_prev, dp_i, dp_f, dp_o
