"""The leaky integrator unit of echo state networks (Jaeger 2001; Jaeger, Lukosevicius, Popovici and Siewert 2007)."""

from __future__ import annotations

from typing import Any

from bptt.cells import Cell


class LeakyElman(Cell):
    """h_t = (1 - leak) h_{t-1} + leak activation(x_t W_xh + h_{t-1} W_hh + b_h).

    Parameters
    ----------
    leak : float
        Constant: 1 is the Elman cell, less is slower.
    activation : {"tanh", "relu", "sigmoid", "identity", "softplus"}
        Default tanh.
    """

    name = "leaky_elman"
    gates = ("h",)
    constants = {"leak": 1.0}  # noqa: RUF012  # a cell's declaration is a plain class attribute
    functions = {"activation": "tanh"}  # noqa: RUF012  # as above

    @staticmethod
    def forward(a_h: Any, h_prev: Any, leak: Any, activation: Any) -> Any:
        """Return the new state."""
        n = activation(a_h)  # (S1)
        h = (1 - leak) * h_prev + leak * n  # (S2)
        return h, n

    @staticmethod
    def backward(dh: Any, n: Any, leak: Any, activation_derivative: Any) -> Any:
        """Return the derivatives, for whoever trains what is usually left fixed."""
        dh_prev = dh * (1 - leak)  # (S2)'
        da_h = dh * leak * activation_derivative(n)  # (S2)', (S1)'
        return da_h, dh_prev
