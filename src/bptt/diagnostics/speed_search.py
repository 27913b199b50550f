"""Where a map is slow: local minima of q(s) = |F(s) - s|^2 / 2, from many starts at once.

The method is Levenberg's and Marquardt's: Gauss-Newton steps on F(s) - s, shortened until q falls. Near a fixed point
whose Jacobian has no eigenvalue 1 they are Newton's and converge quadratically; elsewhere they end where q has a
minimum above 0, a slow point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bptt.checks import Array

# F(s) of states (N, n), and F(s) with its Jacobians (N, n, n).
Value = Callable[[Array], Array]
Jacobians = Callable[[Array], tuple[Array, Array]]

# q is at a minimum where its gradient A^T r is this small against (1 + |A|) |r|.
_LEVEL = 1e-8
_LEAST, _MOST = 1e-14, 1e12


@dataclass(frozen=True, eq=False)
class Search:
    """Where every start ended.

    Attributes
    ----------
    states : ndarray (N, n)
    q : ndarray (N,)
    jacobians : ndarray (N, n, n)
    settled : ndarray (N,), bool
        Whether q is at a minimum there, or 0 to rounding.
    """

    states: Array
    q: Array
    jacobians: Array
    settled: npt.NDArray[np.bool_]


def search(value: Value, jacobians: Jacobians, starts: Array, *, iterations: int) -> Search:
    """Minimise q from every row of `starts` (N, n)."""
    states = starts.copy()
    after, J = jacobians(states)
    residuals = after - states
    q = _q(residuals)
    damping = np.full(len(states), 1e-3)
    settled = _settled(states, residuals, J)
    for _ in range(iterations):
        active = np.flatnonzero(~settled & np.isfinite(q) & (damping < _MOST))
        if not active.size:
            break
        trial = states[active] + _moves(J[active], residuals[active], damping[active])
        with np.errstate(over="ignore", invalid="ignore"):
            gone = value(trial) - trial
            lower = _q(gone) < q[active]  # False for nan
        damping[active] = np.where(lower, np.maximum(damping[active] / 10, _LEAST), damping[active] * 4)
        better = active[lower]
        if not better.size:
            continue
        states[better] = trial[lower]
        after, J[better] = jacobians(states[better])
        residuals[better] = after - states[better]
        q[better] = _q(residuals[better])
        settled[better] = _settled(states[better], residuals[better], J[better])
    return Search(states, q, J, settled)


def _moves(J: Array, residuals: Array, damping: Array) -> Array:
    """Return the steps d (N, n) of (A^T A + mu) d = -A^T r, A = J - 1.

    Where r stays above 0 it is r's own curvature that mu has to make up for, so mu is no multiple of A^T A.
    """
    eye = np.eye(J.shape[1])
    A = J - eye
    normal = A.transpose(0, 2, 1) @ A + damping[:, None, None] * eye
    return np.asarray(-np.linalg.solve(normal, A.transpose(0, 2, 1) @ residuals[:, :, None])[:, :, 0])


def _settled(states: Array, residuals: Array, J: Array) -> npt.NDArray[np.bool_]:
    A = J - np.eye(J.shape[1])
    size = np.linalg.norm(residuals, axis=1)
    slope = np.linalg.norm(A.transpose(0, 2, 1) @ residuals[:, :, None], axis=(1, 2))
    zero = size <= 4 * np.finfo(np.float64).eps * (1 + np.linalg.norm(states, axis=1))
    minimum = slope <= _LEVEL * (1 + np.linalg.norm(A, axis=(1, 2))) * size
    return np.asarray(zero | minimum)


def _q(residuals: Array) -> Array:
    return np.asarray(0.5 * (residuals**2).sum(axis=1))
