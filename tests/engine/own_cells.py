"""Cells as a user writes them: vectors, two states, constants, no backward, a surrogate, several products."""

from __future__ import annotations

from typing import Any

from bptt.activations import exp, log, sigmoid, softplus, spike, sqrt, tanh
from bptt.cells import Cell, Stage


class Leaky(Cell):
    """h = (1 - l) h + l f(a), l a vector."""

    name = "leaky"
    gates = ("h",)
    vectors = {"leak": 0.3}
    functions = {"activation": "tanh"}

    @staticmethod
    def forward(a_h: Any, h_prev: Any, leak: Any, activation: Any) -> Any:
        n = activation(a_h)
        h = (1 - leak) * h_prev + leak * n
        return h, n

    @staticmethod
    def backward(dh: Any, h_prev: Any, n: Any, leak: Any, activation_derivative: Any) -> Any:
        dh_prev = dh * (1 - leak)
        dleak = dh * (n - h_prev)
        da_h = dh * leak * activation_derivative(n)
        return da_h, dh_prev, dleak


class Oscillator(Cell):
    """coRNN (Rusch and Mishra 2021): position and velocity, both feed the force; no backward."""

    name = "oscillator"
    states = ("h", "v")
    gates = ("f",)
    products = {"W_xh": "x", "W_hh": "h", "W_vh": "v"}
    constants = {"dt": 0.1, "gamma": 1.5, "epsilon": 2.0}

    @staticmethod
    def forward(a_f: Any, h_prev: Any, v_prev: Any, dt: Any, gamma: Any, epsilon: Any) -> Any:
        v = v_prev + dt * (tanh(a_f) - gamma * h_prev - epsilon * v_prev)
        h = h_prev + dt * v
        return h, v


class Spiking(Cell):
    """Leaky integrate and fire with a surrogate gradient; no backward."""

    name = "spiking"
    states = ("h", "u")
    gates = ("u",)
    constants = {"beta": 0.9, "threshold": 0.5}

    @staticmethod
    def forward(a_u: Any, h_prev: Any, u_prev: Any, beta: Any, threshold: Any) -> Any:
        u = beta * u_prev + a_u - threshold * h_prev
        h = spike(u - threshold)
        return h, u


class _Inner(Stage):
    gates = ("r",)

    @staticmethod
    def forward(a_r: Any, h_prev: Any, c_prev: Any) -> Any:
        r = sigmoid(a_r)
        c = r * c_prev + (1 - r) * exp(-h_prev * h_prev)
        k = r * h_prev
        return c, k


class _Outer(Stage):
    gates = ("n",)
    products = {"W_xh": "x", "W_kh": "k", "W_ch": "c"}

    @staticmethod
    def forward(a_n: Any, k: Any, c: Any, p: Any, h_prev: Any) -> Any:
        n = tanh(a_n + p * c)
        s = sqrt(1 + softplus(n)) - log(2 + k * k) / 3
        h = n - s * h_prev / 4
        return h


class Staged(Cell):
    """Two stages without a backward: a state of the first feeds a product of the second."""

    name = "staged"
    states = ("h", "c")
    stages = (_Inner, _Outer)
    vectors = {"p": 0.2}


class Apart(Cell):
    """Every gate's parts kept apart, so that no column has both products."""

    name = "apart"
    gates = ("a", "b")

    @staticmethod
    def forward(a_xa: Any, a_ha: Any, a_xb: Any, a_hb: Any, h_prev: Any) -> Any:
        g = sigmoid(a_xa - a_hb)
        h = g * tanh(a_xb + a_ha) + (1 - g) * h_prev
        return h


class Padded(Cell):
    """What a formula makes of the zeros in padding lanes is NaN here, and must reach nothing."""

    name = "padded"
    gates = ("n", "z")
    vectors = {"s": 0.5}

    @staticmethod
    def forward(a_n: Any, a_z: Any, s: Any, h_prev: Any) -> Any:
        z = sigmoid(a_z)
        h = z * h_prev + (1 - z) * tanh(a_n * (1 + log(s * s) / 40))
        return h


OWN = (Leaky, Oscillator, Spiking, Staged, Apart, Padded)
