"""The addition lab's exercise: `bptt`, `bptt_viz`, and the numbers of its plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.labs.exercises.exercise import Array, Exercise, Task
from bptt.verify.mistakes import (
    PATHS,
    PROFILE,
    RIGHT,
    RIGHT_PATHS,
    SOFTMAX,
    SUMS,
    WAY_BACK,
    Case,
    Rules,
    gradients,
    on_paths,
    part_of,
    profile,
)

# T, D, H, C, and the path length that is asked for
SIZES = ((5, 4, 6, 3, 2), (6, 3, 4, 5, 1), (7, 5, 3, 4, 3))

BACKWARD = SOFTMAX + WAY_BACK + SUMS


@dataclass(frozen=True, eq=False)
class Problem:
    """A random sequence and a random network."""

    case: Case
    y: npt.NDArray[np.int64]
    U: Array
    size: int

    @property
    def arguments(self) -> tuple[Any, ...]:
        """As the functions take them: x, y, U, V, W."""
        return self.case.x, self.y, self.U, self.case.V, self.case.W


def make_problem(rng: np.random.Generator, number: int) -> Problem:
    """Return a random problem; its inputs are any numbers, not one-hot, so that no product hides."""
    T, D, H, C, size = SIZES[number]
    x, y = rng.standard_normal((T, D)), rng.integers(C, size=T)
    U, V, W = (0.6 * rng.standard_normal(shape) for shape in ((H, D), (C, H), (H, H)))
    s = np.zeros((T + 1, H))
    for t in range(1, T + 1):
        s[t] = np.tanh(U @ x[t - 1] + W @ s[t - 1])
    raised = np.exp(s[1:] @ V.T)
    o = raised / raised.sum(axis=1, keepdims=True)
    true = np.eye(C)[y]
    others = {
        "target_not_subtracted": o / T,
        "softmax_slope_again": (o - true) * o * (1 - o) / T,
        "softmax_slope_dropped": -true / o / T,
        "rows_for_entries": (o - (np.arange(T)[:, None] == y).any(axis=1, keepdims=True)) / T,
        "one_from_every_answer": (o - 1) / T,
    }
    return Problem(Case(x, s, (o - true) / T, W, V, others), y, U, size)


def _gradients(problem: Problem, rules: Rules) -> list[Array]:
    found = gradients(problem.case, rules)
    return [found["U"], found["V"], found["W"]]


ADDITION = Exercise(
    "addition",
    (
        Task(
            "bptt",
            ("dL/dU", "dL/dV", "dL/dW"),
            lambda p: p.arguments,
            lambda p: _gradients(p, RIGHT),
            BACKWARD,
            lambda p, mistake: _gradients(p, mistake.change(RIGHT)),
        ),
        Task(
            "bptt_viz",
            ("dL/dW",),
            lambda p: (*p.arguments, p.size),
            lambda p: [part_of(p.case, p.size)],
            PATHS + on_paths(BACKWARD),
            lambda p, mistake: [part_of(p.case, p.size, mistake.change(RIGHT_PATHS))],
        ),
        Task(
            "mean_absolute",
            ("mean |dL/dW|",),
            lambda p: p.arguments,
            lambda p: [profile(p.case)],
            PROFILE + PATHS + on_paths(BACKWARD),
            lambda p, mistake: [profile(p.case, mistake.change(RIGHT_PATHS))],
            pairs=False,  # a thousand profiles take seconds; bptt_viz says it already
        ),
    ),
    make_problem,
    {"W": "W", "U": "U", "V": "V", "h": "s", "x": "x"},
)
