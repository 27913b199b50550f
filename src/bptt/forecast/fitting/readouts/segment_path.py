"""The closed form of the segment-wise head: one readout for all segments, a linear path with weights for each row.

The linear path's weights are eliminated segment by segment (a Schur complement), so that what is left to solve for the
shared readout has the size of the state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.forecast.fitting.readouts.ridge_path import Linear


@dataclass(frozen=True, eq=False)
class SegmentSums:
    """Sums over the training rows.

    Attributes
    ----------
    window : ndarray float64 (1 + W, 1 + W)
        Of products of what the linear path reads, after a column of ones.
    cross : ndarray float64 (M, 1 + W, H)
        Of it with the decoder's states.
    states : ndarray float64 (M, H, H)
    window_y : ndarray float64 (1 + W, K)
    states_y : ndarray float64 (M, H, L)
        With the rows of the segment; 0 for those beyond the horizon.
    count : float
    """

    window: Array
    cross: Array
    states: Array
    window_y: Array
    states_y: Array
    count: float

    def __add__(self, other: SegmentSums) -> SegmentSums:
        return SegmentSums(
            self.window + other.window,
            self.cross + other.cross,
            self.states + other.states,
            self.window_y + other.window_y,
            self.states_y + other.states_y,
            self.count + other.count,
        )


def segment_sums(window: Array, states: Array, y: Array, weights: Array, length: int) -> SegmentSums:
    """Return the sums over rows of window (n, W), states (n, M, H) and targets (n, K), counted by weights (n,)."""
    n, M, _ = states.shape
    read = np.concatenate([np.ones((n, 1)), window], axis=1)
    weighed = read * weights[:, None]
    padded = np.zeros((n, M * length))
    padded[:, : y.shape[1]] = y
    by_segment = states.transpose(1, 2, 0)  # (M, H, n)
    return SegmentSums(
        weighed.T @ read,
        weighed.T @ states.transpose(1, 0, 2),
        (by_segment * weights) @ states.transpose(1, 0, 2),
        weighed.T @ y,
        (by_segment * weights) @ padded.reshape(n, M, length).transpose(1, 0, 2),
        float(weights.sum()),
    )


def solve_segments(
    sums: SegmentSums, state: float, window: float, *, drift: bool = True
) -> tuple[Array, Linear]:
    """Return the readout (H, L) and the linear path (W, K) with penalties relative to the number of rows.

    Notes
    -----
    With F what the linear path reads, D_m the states of segment m, R_m its targets and A = F'F + n diag(window)::

        (sum_m D_m'D_m + n M state - sum_m C_m' A^-1 C_m) W_y = sum_m (D_m'R_m - C_m' A^-1 F'R_m),   C_m = F'D_m
        V_m = A^-1 (F'R_m - C_m W_y)

    An infinite `window` leaves the intercepts alone; without a drift these are 0. Rows of the last segment beyond the
    horizon do not count.
    """
    H, L = sums.states_y.shape[1:]
    M, K, n = len(sums.cross), sums.window_y.shape[1], max(sums.count, 1.0)
    kept = np.full(len(sums.window), np.isfinite(window))
    kept[0] = drift
    some = np.flatnonzero(kept)
    ridge = np.where(some > 0, n * max(window if np.isfinite(window) else 0.0, 1e-9), 1e-9 * n)
    A = sums.window[np.ix_(some, some)] + np.diag(ridge)
    C = sums.cross[:, some]  # (M, F, H)
    Y = np.zeros((len(some), M * L))
    Y[:, :K] = sums.window_y[some]
    Y = Y.reshape(len(some), M, L).transpose(1, 0, 2)  # (M, F, L)
    left = np.linalg.solve(A, C) if len(some) else np.zeros_like(C)
    grams = sums.states - C.transpose(0, 2, 1) @ left
    moments = sums.states_y - left.transpose(0, 2, 1) @ Y
    readout = np.zeros((H, L))
    full = K - (M - 1) * L  # rows that every segment has
    for rows, parts in ((slice(0, full), M), (slice(full, L), M - 1)):
        if parts and rows.start < L:
            gram = grams[:parts].sum(axis=0) + n * parts * max(state, 1e-9) * np.eye(H)
            readout[:, rows] = np.linalg.solve(gram, moments[:parts, :, rows].sum(axis=0))
    found = np.zeros((len(sums.window), M * L))
    if len(some):
        rest = np.linalg.solve(A, Y - C @ readout)  # (M, F, L)
        found[some] = rest.transpose(1, 0, 2).reshape(len(some), M * L)
    return readout, Linear(found[1:, :K], found[0, :K])
