"""Pascanu, Mikolov and Bengio 2013: the cliff in the loss of one unit, and what clipping does at it.

One unit without input, h_t = w sigmoid(h_(t-1)) + b, begun at h_0 and run for 50 steps; the loss is
(sigmoid(h_50) - 0.7)^2. Over the plane of w and b it is a landscape with a wall: on its two sides the unit comes to
rest in different states. Plain descent that meets the wall is thrown far away, clipped descent stays near it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bptt.activations import sigmoid
from bptt.checks import Array, check_number, check_whole

T, START, GOAL = 50, 0.5, 0.7
# The window of the plane that is drawn, (low, high) of w and of b.
W_RANGE, B_RANGE = (3.8, 6.2), (-2.9, 0.3)
# Both paths: where they begin, the rate, how many updates, and the largest norm of the clipped one's gradient.
BEGIN, STEP_SIZE, DESCENT, LIMIT = (5.5, -2.4), 0.5, 200, 0.1


@dataclass(frozen=True, eq=False)
class Descent:
    """A path over the plane.

    Attributes
    ----------
    points : ndarray (steps + 1, 2)
        (w, b) before each update and after the last.
    losses, norms : ndarray (steps + 1,)
        At each point: the loss, and its gradient's norm before clipping.
    """

    points: Array
    losses: Array
    norms: Array


@dataclass(frozen=True, eq=False)
class Cliff:
    """The landscape and both paths.

    Attributes
    ----------
    w, b : ndarray (n,)
    losses : ndarray (n, n)
        ``losses[i, j]`` at ``b[i], w[j]``.
    plain, clipped : Descent
    steepest : float
        Largest gradient norm on the grid.
    """

    w: Array
    b: Array
    losses: Array
    plain: Descent
    clipped: Descent
    steepest: float


def cliff_loss(w: Array, b: Array, *, steps: int = T) -> tuple[Array, Array, Array]:
    """Return the loss of one unit after `steps` steps, and its gradient, at every point of two arrays.

    Parameters
    ----------
    w, b : array_like
        Of shapes that broadcast; complex for the complex-step check.

    Returns
    -------
    loss, dw, db : ndarray

    References
    ----------
    Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks", section 2.3, figure 6.
    """
    w, b = np.broadcast_arrays(np.asarray(w), np.asarray(b))
    # Forward: the derivatives with respect to w and b ride along, since there are only two.
    h = np.full(w.shape, START, np.result_type(w, b, np.float64))
    h_w, h_b = np.zeros_like(h), np.zeros_like(h)
    for _ in range(check_whole("steps", steps)):
        s = sigmoid(h)
        slope = w * s * (1 - s)
        h, h_w, h_b = w * s + b, s + slope * h_w, 1 + slope * h_b
    y_hat = sigmoid(h)
    error = y_hat - GOAL
    dh = 2 * error * y_hat * (1 - y_hat)
    return error * error, dh * h_w, dh * h_b


def descend(start: tuple[float, float], *, rate: float, steps: int, limit: float | None = None) -> Descent:
    """Go down the landscape by plain descent.

    Parameters
    ----------
    start : (float, float)
        w and b.
    rate : float
    steps : int
    limit : float, optional
        Largest norm of the gradient; longer ones are shortened to it.
    """
    step_size = check_number("rate", rate, above=0)
    points, losses, norms = [np.array(start, float)], [], []
    for step in range(check_whole("steps", steps) + 1):
        loss, dw, db = cliff_loss(*points[-1])
        gradient = np.array([dw, db], float)
        norm = math.hypot(*gradient)
        losses.append(float(loss))
        norms.append(norm)
        if step < steps:
            shrunk = 1.0 if limit is None or norm <= limit else limit / norm
            points.append(points[-1] - step_size * shrunk * gradient)
    return Descent(np.array(points), np.array(losses), np.array(norms))


def run_cliff(*, points: int = 160) -> Cliff:
    """Return the landscape, and a plain and a clipped descent that meet its wall.

    Parameters
    ----------
    points : int
        Of the grid on each side.
    """
    w = np.linspace(*W_RANGE, check_whole("points", points, least=2))
    b = np.linspace(*B_RANGE, points)
    losses, dw, db = cliff_loss(w[None, :], b[:, None])
    return Cliff(
        w=w,
        b=b,
        losses=losses,
        plain=descend(BEGIN, rate=STEP_SIZE, steps=DESCENT),
        clipped=descend(BEGIN, rate=STEP_SIZE, steps=DESCENT, limit=LIMIT),
        steepest=float(np.hypot(dw, db).max()),
    )
