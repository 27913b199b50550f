"""The built-in cells' equations once more, as a user would write them in a file of their own."""

# ruff: noqa: RET504, RUF012  # formulas name what they return, cells declare plain attributes

from __future__ import annotations

from typing import Any

from bptt.activations import sigmoid, tanh
from bptt.cells import Cell


class OwnElman(Cell):
    name = "own_elman"
    gates = ("h",)

    @staticmethod
    def forward(a_h: Any) -> Any:
        h = tanh(a_h)
        return h

    @staticmethod
    def backward(dh: Any, h: Any) -> Any:
        da_h = dh * (1 - h * h)
        return da_h


class OwnLSTM(Cell):
    name = "own_lstm"
    states = ("h", "c")
    gates = ("i", "f", "g", "o")

    @staticmethod
    def forward(a_i: Any, a_f: Any, a_g: Any, a_o: Any, c_prev: Any) -> Any:
        i = sigmoid(a_i)
        f = sigmoid(a_f)
        g = tanh(a_g)
        o = sigmoid(a_o)
        c = f * c_prev + i * g
        s = tanh(c)
        h = o * s
        return h, c, i, f, g, o, s

    @staticmethod
    def backward(dh: Any, dc: Any, i: Any, f: Any, g: Any, o: Any, s: Any, c_prev: Any) -> Any:
        do = dh * s
        dc_t = dc + dh * o * (1 - s * s)
        dc_prev = dc_t * f
        da_o = do * o * (1 - o)
        da_g = dc_t * i * (1 - g * g)
        da_f = dc_t * c_prev * f * (1 - f)
        da_i = dc_t * g * i * (1 - i)
        return da_i, da_f, da_g, da_o, dc_prev


class OwnGRU(Cell):
    name = "own_gru"
    gates = ("r", "z", "n")
    vectors = {"b_hn": 0.0}

    @staticmethod
    def forward(a_r: Any, a_z: Any, a_xn: Any, a_hn: Any, b_hn: Any, h_prev: Any) -> Any:
        r = sigmoid(a_r)
        z = sigmoid(a_z)
        q = a_hn + b_hn
        n = tanh(a_xn + r * q)
        h = (1 - z) * n + z * h_prev
        return h, r, z, n, q

    @staticmethod
    def backward(dh: Any, r: Any, z: Any, n: Any, q: Any, h_prev: Any) -> Any:
        dh_prev = dh * z
        da_xn = dh * (1 - z) * (1 - n * n)
        da_hn = da_xn * r
        db_hn = da_xn * r
        da_z = dh * (h_prev - n) * z * (1 - z)
        da_r = da_xn * q * r * (1 - r)
        return da_r, da_z, da_xn, da_hn, db_hn, dh_prev


class DerivedElman(OwnElman):
    name = "derived_elman"
    backward = None


class DerivedLSTM(OwnLSTM):
    name = "derived_lstm"
    backward = None


class DerivedGRU(OwnGRU):
    name = "derived_gru"
    backward = None


# With a backward by hand, and without: bptt then derives one.
OWN_CELLS = {"elman": OwnElman, "lstm": OwnLSTM, "gru": OwnGRU}
DERIVED_CELLS = {"elman": DerivedElman, "lstm": DerivedLSTM, "gru": DerivedGRU}
