"""The simple recurrent network of Elman 1990 ("Finding structure in time", Cognitive Science 14).

Derivation: docs/cells/elman.md.
"""

from __future__ import annotations

from typing import Any

from bptt.cells.protocol import Cell


class Elman(Cell):
    """One gate, one state: h_t = activation(x_t W_xh + h_{t-1} W_hh + b_h).

    Parameters
    ----------
    activation : {"tanh", "relu", "sigmoid", "identity", "softplus"}
        Default tanh.
    """

    name = "elman"
    gates = ("h",)
    functions = {"activation": "tanh"}

    @staticmethod
    def forward(a_h: Any, activation: Any) -> Any:
        h = activation(a_h)  # (E1)
        return h

    @staticmethod
    def backward(dh: Any, h: Any, activation_derivative: Any) -> Any:
        da_h = dh * activation_derivative(h)  # (E1)'
        return da_h
