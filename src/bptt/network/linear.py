"""A linear path from the newest rows of the window straight to the output, beside the recurrent one.

The newest `lags` rows x_{t-lags+1} .. x_t, oldest first and flattened, times W_xy (lags * D, K). Rows before the
first step count as 0. Time series are largely linear; this part learns that, and the recurrent part the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]


def linear_every(x: Array, W_xy: Array) -> Array:
    """Return the path's output (T, B, K) at every step of x (T, B, D)."""
    T, B, D = x.shape
    y = np.zeros((T, B, W_xy.shape[1]), np.result_type(x, W_xy))
    for lag, W in _by_lag(W_xy, D, T):
        y[lag:] += x[: T - lag] @ W
    return y


def linear_every_backward(x: Array, W_xy: Array, dy: Array) -> tuple[Array, Array]:
    """Return dW_xy and dx (T, B, D) for dy (T, B, K)."""
    T, B, D = x.shape
    dW_xy, dx = np.zeros_like(W_xy), np.zeros(x.shape, dy.dtype)
    for (lag, W), (_, dW) in zip(_by_lag(W_xy, D, T), _by_lag(dW_xy, D, T), strict=True):
        arriving = dy[lag:].reshape((T - lag) * B, -1)
        dW += x[: T - lag].reshape((T - lag) * B, D).T @ arriving
        dx[: T - lag] += dy[lag:] @ W.T
    return dW_xy, dx


def linear_last(x: Array, last: Index, W_xy: Array) -> Array:
    """Return the path's output (B, K) at step `last` (B,) of each row."""
    return _windows(x, last, W_xy) @ W_xy


def linear_last_backward(x: Array, last: Index, W_xy: Array, dy: Array) -> tuple[Array, Array]:
    """Return dW_xy and dx (T, B, D) for dy (B, K)."""
    B, D = x.shape[1:]
    dW_xy = _windows(x, last, W_xy).T @ dy
    dwindows = (dy @ W_xy.T).reshape(B, -1, D)
    dx = np.zeros(x.shape, dy.dtype)
    steps = _steps(last, dwindows.shape[1])
    inside = steps >= 0
    rows = np.broadcast_to(np.arange(B)[:, None], steps.shape)
    dx[steps[inside], rows[inside]] = dwindows[inside]
    return dW_xy, dx


def _by_lag(W_xy: Array, D: int, T: int) -> list[tuple[int, Array]]:
    """Pairs of lag and its (D, K) block, for the lags that T steps can have."""
    lags = len(W_xy) // D
    blocks = W_xy.reshape(lags, D, -1)
    return [(lag, blocks[lags - 1 - lag]) for lag in range(min(lags, T))]


def _steps(last: Index, lags: int) -> Index:
    return last[:, None] - np.arange(lags - 1, -1, -1)


def _windows(x: Array, last: Index, W_xy: Array) -> Array:
    """Return the newest rows of each sequence, flattened (B, lags * D)."""
    _, B, D = x.shape
    steps = _steps(last, len(W_xy) // D)
    rows = x[np.maximum(steps, 0), np.arange(B)[:, None]]
    return np.where((steps >= 0)[:, :, None], rows, np.zeros((), x.dtype)).reshape(B, -1)
