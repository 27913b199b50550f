"""Four cells that are not ours: the protocol must carry what other people come up with."""

from __future__ import annotations

from typing import Any

from bptt.activations import exp, sigmoid, spike, spike_derivative, tanh
from bptt.cells import Cell, Stage


class LeakyUnit(Cell):
    """Leaky integrator whose time constant tau = 1 + exp(p_tau) > 1 is learnt, one a unit."""

    name = "leaky"
    gates = ("n",)
    vectors = {"p_tau": 0.0}  # tau starts at 2 steps

    @staticmethod
    def forward(a_n: Any, p_tau: Any, h_prev: Any) -> Any:
        n = tanh(a_n)  # (1)
        s = exp(p_tau)  # (2) tau - 1
        h = h_prev + (n - h_prev) / (1 + s)  # (3)
        return h, n, s

    @staticmethod
    def backward(dh: Any, h_prev: Any, n: Any, s: Any) -> Any:
        dn = dh / (1 + s)  # (3)'
        dh_prev = dh - dn
        ds = -dn * (n - h_prev) / (1 + s)
        dp_tau = ds * s  # (2)'
        da_n = dn * (1 - n * n)  # (1)'
        return da_n, dp_tau, dh_prev


class _Forget(Stage):
    """The one gate, and what it lets through."""

    gates = ("f",)

    @staticmethod
    def forward(a_f: Any, h_prev: Any) -> Any:
        f = sigmoid(a_f)
        k = f * h_prev
        return k, f

    @staticmethod
    def backward(dk: Any, df: Any, f: Any, h_prev: Any) -> Any:
        dh_prev = dk * f
        da_f = (df + dk * h_prev) * f * (1 - f)
        return da_f, dh_prev


class _Mix(Stage):
    """The candidate and the mix."""

    gates = ("n",)
    products = {"W_xh": "x", "W_hh": "k"}

    @staticmethod
    def forward(a_n: Any, f: Any, h_prev: Any) -> Any:
        n = tanh(a_n)
        h = (1 - f) * h_prev + f * n
        return h, n

    @staticmethod
    def backward(dh: Any, n: Any, f: Any, h_prev: Any) -> Any:
        da_n = dh * f * (1 - n * n)
        df = dh * (n - h_prev)
        dh_prev = dh * (1 - f)
        return da_n, df, dh_prev


class MinimalGatedUnit(Cell):
    """Minimal gated unit (Zhou, Wu, Zhang and Zhou 2016): a GRU with one gate, in two stages."""

    name = "minimal_gated"
    stages = (_Forget, _Mix)


class CoupledOscillator(Cell):
    """coRNN (Rusch and Mishra 2021, ICLR, eq. 3, damping taken at the old step): h positions, v velocities."""

    name = "cornn"
    states = ("h", "v")
    gates = ("h",)
    products = {"W_xh": "x", "W_hh": "h", "W_vh": "v"}
    constants = {"dt": 0.4, "gamma": 1.3, "epsilon": 0.7}

    @staticmethod
    def forward(a_h: Any, h_prev: Any, v_prev: Any, dt: Any, gamma: Any, epsilon: Any) -> Any:
        force = tanh(a_h)
        v = v_prev + dt * (force - gamma * h_prev - epsilon * v_prev)
        h = h_prev + dt * v
        return h, v, force

    @staticmethod
    def backward(dh: Any, dv: Any, force: Any, dt: Any, gamma: Any, epsilon: Any) -> Any:
        dv_t = dv + dh * dt
        da_h = dv_t * dt * (1 - force * force)
        dh_prev = dh - dv_t * dt * gamma
        dv_prev = dv_t * (1 - dt * epsilon)
        return da_h, dh_prev, dv_prev


class SpikingUnit(Cell):
    """Leaky integrate-and-fire unit: h is 1 where it fires, u its membrane, reset by the unit's last spike."""

    name = "spiking"
    states = ("h", "u")
    gates = ("h",)
    constants = {"decay": 0.8, "threshold": 0.5}

    @staticmethod
    def forward(a_h: Any, h_prev: Any, u_prev: Any, decay: Any, threshold: Any) -> Any:
        u = decay * u_prev * (1 - h_prev) + a_h
        h = spike(u - threshold)
        return h, u

    @staticmethod
    def backward(dh: Any, du: Any, u: Any, h_prev: Any, u_prev: Any, decay: Any, threshold: Any) -> Any:
        du_t = du + dh * spike_derivative(u - threshold)
        da_h = du_t
        du_prev = du_t * decay * (1 - h_prev)
        dh_prev = -du_t * decay * u_prev
        return da_h, dh_prev, du_prev
