"""Gated recurrent unit (Cho et al. 2014), in its two published forms. Derivation: docs/cells/gru.md.

`GRU` applies the reset gate after the recurrent product (PyTorch, cuDNN, Keras' default; ONNX
``linear_before_reset=1``); `GRUResetBefore` applies it to the state before the product, as first published.
Both mix as h_t = (1 - z) n + z h_{t-1}.
"""

from __future__ import annotations

from typing import Any

from bptt.activations import sigmoid, tanh
from bptt.cells.protocol import Cell, Stage


class GRU(Cell):
    """Reset gate after the product: n = tanh(a_xn + r (a_hn + b_hn))."""

    name = "gru"
    gates = ("r", "z", "n")
    vectors = {"b_hn": 0.0}

    @staticmethod
    def forward(a_r: Any, a_z: Any, a_xn: Any, a_hn: Any, b_hn: Any, h_prev: Any) -> Any:
        r = sigmoid(a_r)  # (G1)
        z = sigmoid(a_z)  # (G2)
        q = a_hn + b_hn  # (G3)
        n = tanh(a_xn + r * q)  # (G4)
        h = (1 - z) * n + z * h_prev  # (G5)
        return h, r, z, n, q

    @staticmethod
    def backward(dh: Any, r: Any, z: Any, n: Any, q: Any, h_prev: Any) -> Any:
        dh_prev = dh * z  # (G5)'
        dz = dh * (h_prev - n)
        dn = dh * (1 - z)
        da_xn = dn * (1 - n * n)  # (G4)'
        dr = da_xn * q
        da_hn = da_xn * r  # (G3)'
        db_hn = da_xn * r
        da_z = dz * z * (1 - z)  # (G2)'
        da_r = dr * r * (1 - r)  # (G1)'
        return da_r, da_z, da_xn, da_hn, db_hn, dh_prev


class _Gates(Stage):
    """Reset and update gates."""

    gates = ("r", "z")

    @staticmethod
    def forward(a_r: Any, a_z: Any, h_prev: Any) -> Any:
        r = sigmoid(a_r)  # (B1)
        z = sigmoid(a_z)  # (B2)
        k = r * h_prev  # (B3) what the reset gate lets through
        return k, r, z

    @staticmethod
    def backward(dk: Any, dz: Any, r: Any, z: Any, h_prev: Any) -> Any:
        dh_prev = dk * r  # (B3)'
        dr = dk * h_prev
        da_z = dz * z * (1 - z)  # (B2)'
        da_r = dr * r * (1 - r)  # (B1)'
        return da_r, da_z, dh_prev


class _Candidate(Stage):
    """Candidate from the reset state, and the mix."""

    gates = ("n",)
    products = {"W_xh": "x", "W_hh": "k"}

    @staticmethod
    def forward(a_n: Any, z: Any, h_prev: Any) -> Any:
        n = tanh(a_n)  # (B4)
        h = (1 - z) * n + z * h_prev  # (B5)
        return h, n

    @staticmethod
    def backward(dh: Any, n: Any, z: Any, h_prev: Any) -> Any:
        dh_prev = dh * z  # (B5)'
        dz = dh * (h_prev - n)
        dn = dh * (1 - z)
        da_n = dn * (1 - n * n)  # (B4)'
        return da_n, dz, dh_prev


class GRUResetBefore(Cell):
    """Reset gate before the product: n = tanh(a_xn + (r h_{t-1}) W_hn), two stages."""

    name = "gru_reset_before"
    stages = (_Gates, _Candidate)
