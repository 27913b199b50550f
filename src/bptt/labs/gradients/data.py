"""Two tasks whose answer lies a chosen number of steps back: digit echo, and the adding problem."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bptt.checks import Array, check_choice, check_whole
from bptt.network import Network

DIGITS = 10
LAGS = (10, 20, 50, 100, 200)

# Takes a generator, how many examples and the lag; returns x (N, lag + 1, D) and what is due at the last step.
Draw = Callable[[np.random.Generator, int, int], tuple[Array, Array]]


def digit_echo(rng: np.random.Generator, count: int, lag: int) -> tuple[Array, Array]:
    """Draw digits, the first of them marked; `lag` steps later that one is due.

    All digits between look alike to the answer but for the mark, so whatever holds the first must shut the others out.

    Parameters
    ----------
    rng : numpy.random.Generator
    count : int
        N, examples.
    lag : int
        Steps between the marked digit and the answer, at least 1.

    Returns
    -------
    x : ndarray (N, lag + 1, 11), float32
        The digit one-hot; in the last column the mark.
    y : ndarray (N,), int64
        The marked digit. Guessing is right once in 10.
    """
    shape = (check_whole("count", count), check_whole("lag", lag) + 1)
    digits = rng.integers(0, DIGITS, shape)
    x = np.zeros((*shape, DIGITS + 1), np.float32)
    np.put_along_axis(x, digits[:, :, None], 1.0, axis=2)
    x[:, 0, DIGITS] = 1.0
    return x, digits[:, 0]


def adding_problem(rng: np.random.Generator, count: int, lag: int) -> tuple[Array, Array]:
    """Draw numbers in 0..1, two of them marked; their sum is due at the last step.

    Parameters
    ----------
    rng : numpy.random.Generator
    count : int
        N, examples.
    lag : int
        Steps between the first mark and the answer, at least 1. The second mark stands anywhere later.

    Returns
    -------
    x : ndarray (N, lag + 1, 2), float32
        The number, and the mark.
    y : ndarray (N, 1), float32
        The sum of the two. Saying 1 always has a squared error of 1/6.

    References
    ----------
    Hochreiter and Schmidhuber 1997, "Long short-term memory", section 5.4, experiment 4. There the first mark lies
    among the first ten numbers and the second in the first half, and the sum is scaled; here the first mark is at the
    first step, so that the lag is one number.
    """
    rows, steps = check_whole("count", count), check_whole("lag", lag) + 1
    x = np.zeros((rows, steps, 2), np.float32)
    x[:, :, 0] = rng.random((rows, steps))
    x[:, 0, 1] = 1.0
    x[np.arange(rows), rng.integers(1, steps, rows), 1] = 1.0
    return x, (x[:, :, 0] * x[:, :, 1]).sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Task:
    """A task at any lag, and when it counts as solved.

    Attributes
    ----------
    name, title : str
    draw : callable
    inputs, outputs : int
        D and K.
    loss : str
    guessing : float
        Loss of the best answer that does not look at x.
    enough : float
        Of the score: a share of right answers, or a squared error.
    stop_at : float
        Loss on examples apart below which training ends: safely past `enough`.
    """

    name: str
    title: str
    draw: Draw
    inputs: int
    outputs: int
    loss: str
    guessing: float
    enough: float
    stop_at: float

    def score(self, net: Network, x: Array, y: Array) -> float:
        """Return the share of right digits, or the mean squared error of the sums."""
        found = net.predict(x)
        if self.loss == "cross_entropy":
            return float((found.argmax(axis=1) == y).mean())
        return float(np.mean((found - y) ** 2))

    def solved(self, score: float) -> bool:
        """Return whether this score is enough."""
        return score >= self.enough if self.loss == "cross_entropy" else score <= self.enough


TASKS = {
    "echo": Task(
        "echo",
        "digit echo",
        digit_echo,
        DIGITS + 1,
        DIGITS,
        "cross_entropy",
        math.log(10),
        enough=0.95,
        stop_at=0.05,
    ),
    "adding": Task(
        "adding", "adding problem", adding_problem, 2, 1, "mse", 1 / 6, enough=0.02, stop_at=0.004
    ),
}


def get_task(name: str) -> Task:
    """Return a task by name."""
    return TASKS[check_choice("task", name, TASKS)]
