"""The assignment's loop, written out: the gradient of the last error on its way back through 25 states.

It is here to be read, and to show the norms on the edges of the unrolled graph; training takes the engine's sweep. The
two are held together by a test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.network import Network

NAMES = ("layers.0.W_xh", "layers.0.W_hh", "readout.W_hy")


@dataclass(frozen=True, eq=False)
class Flow:
    """The gradient of half the squared error of the 26th value; medians over the windows.

    Attributes
    ----------
    dh : ndarray (T,)
        Norm of dL/dh_t, t = 1..T: what flows back over the edge that leaves h_t.
    dx : ndarray (T,)
        |dL/dx_t|.
    radius : float
        Largest absolute eigenvalue of W_hh.
    """

    dh: Array
    dx: Array
    radius: float


@dataclass(frozen=True, eq=False)
class Loop:
    """The loop's gradients: means over the windows, as the training loss is one.

    Attributes
    ----------
    parameters : dict of parameter name to ndarray
        dL/dW_xh (1, H), dL/dW_hh (H, H), dL/dW_hy (H, 1).
    dh : ndarray (T, B, H)
        dL/dh_t of each window's own loss.
    dx : ndarray (T, B)
    """

    parameters: dict[str, Array]
    dh: Array
    dx: Array


def loop(net: Network, x: Array, y: Array) -> Loop:
    """Go through the assignment's loop with row vectors, float64.

    Parameters
    ----------
    net : Network
        Elman with tanh, no biases, readout "last" through the identity or tanh, half the squared error.
    x : ndarray (B, T, 1)
    y : ndarray (B, 1)
    """
    W_xh, W_hh, W_hy = (net.parameters[name].astype(np.float64) for name in NAMES)
    batch, steps, _ = x.shape
    h = np.zeros((steps + 1, batch, len(W_hh)))
    for t in range(steps):
        h[t + 1] = np.tanh(x[:, t] @ W_xh + h[t] @ W_hh)
    out = h[steps] @ W_hy
    squashed = net.output_activation == "tanh"
    y_hat = np.tanh(out) if squashed else out

    error = (y_hat - y) * (1 - y_hat**2 if squashed else 1.0)
    dW_xh, dW_hh, dW_hy = np.zeros_like(W_xh), np.zeros_like(W_hh), h[steps].T @ error / batch
    dh, dx = np.empty((steps, batch, len(W_hh))), np.empty((steps, batch))
    dht = error @ W_hy.T
    for t in reversed(range(steps)):
        dh[t] = dht
        temp = dht * (1 - h[t + 1] ** 2)
        dW_xh += x[:, t].T @ temp / batch
        dW_hh += h[t].T @ temp / batch
        dx[t] = (temp @ W_xh.T)[:, 0]
        dht = temp @ W_hh.T
    return Loop(dict(zip(NAMES, (dW_xh, dW_hh, dW_hy), strict=True)), dh, dx)


def gradient_flow(net: Network, x: Array, y: Array) -> Flow:
    """Return how large the gradient is at each step on its way back."""
    found = loop(net, x, y)
    W_hh = net.parameters["layers.0.W_hh"].astype(np.float64)
    return Flow(
        dh=np.median(np.linalg.norm(found.dh, axis=2), axis=1),
        dx=np.median(np.abs(found.dx), axis=1),
        radius=float(np.abs(np.linalg.eigvals(W_hh)).max()),
    )
