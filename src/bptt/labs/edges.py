"""What flows back over each edge of an unrolled Elman network: the numbers for `bptt.plots.unrolled`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.network import Network


@dataclass(frozen=True, eq=False)
class Edges:
    """Norms of each row's own gradient, medians over the rows.

    Attributes
    ----------
    dh : ndarray (T,)
        What comes back from step t + 1 over the edge that leaves h_t, t = 1..T; with one output, after the last step,
        the last is what comes from that output.
    dx : ndarray (T,)
        |dL/dx_t|.
    dy : ndarray (T,) or None
        What comes from the output of step t, where every step has one.
    """

    dh: Array
    dx: Array
    dy: Array | None


def edges(net: Network, x: Array, y: Array) -> Edges:
    """Go back through a network by hand, in float64.

    Parameters
    ----------
    net : Network
        One Elman layer with tanh, the output through the identity.
    x : ndarray (B, T, D)
    y : ndarray
        Targets, as the network's loss takes them.
    """
    p = {name.rpartition(".")[2]: value.astype(np.float64) for name, value in net.parameters.items()}
    W_hh, W_hy, b_h, b_y = p["W_hh"], p["W_hy"], p.get("b_h", 0.0), p.get("b_y", 0.0)
    rows, T, _ = x.shape
    h = np.zeros((T + 1, rows, len(W_hh)))
    for t in range(T):
        h[t + 1] = np.tanh(x[:, t].astype(np.float64) @ p["W_xh"] + h[t] @ W_hh + b_h)
    every = net.readout == "every"
    y_hat = (h[1:] if every else h[T]) @ W_hy + b_y
    _, dy_hat = net.loss.value_and_gradient(y_hat.swapaxes(0, 1) if every else y_hat, y)
    # The loss is a mean over the rows; each row's own is meant.
    own = rows * dy_hat @ W_hy.T
    dh, dx = np.zeros((T, rows, len(W_hh))), np.zeros((T, *x.shape[::2]))
    da = np.zeros((rows, len(W_hh)))
    for t in reversed(range(T)):
        dh[t] = own if t == T - 1 and not every else da @ W_hh.T
        da = (dh[t] + own[:, t] if every else dh[t]) * (1 - h[t + 1] ** 2)
        dx[t] = da @ p["W_xh"].T
    return Edges(_size(dh), _size(dx), _size(own.swapaxes(0, 1)) if every else None)


def _size(d: Array) -> Array:
    """Return the median norm (T,) of gradients (T, B, n)."""
    return np.asarray(np.median(np.linalg.norm(d, axis=2), axis=1))
