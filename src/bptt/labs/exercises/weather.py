"""The weather lab's exercise: twelve gradient functions, six for an output at every step and six for the last one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.labs.exercises.exercise import Array, Exercise, Task
from bptt.verify.mistakes import (
    GIVEN,
    RIGHT,
    SQUARED,
    SUMS,
    WAY_BACK,
    Case,
    Mistake,
    Rules,
    gradients,
    state_gradients,
)

# T, D, H, K
SIZES = ((5, 3, 4, 2), (6, 5, 3, 4), (7, 2, 6, 3))


@dataclass(frozen=True, eq=False)
class Problem:
    """States of a random network, seen as exercise 1 sees them and as exercise 2 does."""

    every: Case
    last: Case
    y_true: float
    y_pred: float


def make_problem(rng: np.random.Generator, number: int) -> Problem:
    """Return a random problem; the initial state is not zero, so that no mistake hides there."""
    T, D, H, K = SIZES[number]
    x, U, W = rng.standard_normal((T, D)), rng.standard_normal((H, D)), rng.standard_normal((H, H))
    h = np.tanh(rng.standard_normal((T + 1, H)))
    for t in range(1, T + 1):
        h[t] = np.tanh(0.5 * (W @ h[t - 1] + U @ x[t - 1] + rng.standard_normal(H)))
    V, V_last = rng.standard_normal((K, H)), rng.standard_normal((1, H))
    y_true, y_pred = sorted(rng.standard_normal(2), reverse=number % 2 == 1)  # errors of both signs
    last = np.zeros((T, 1))
    last[-1] = 2 * (y_pred - y_true)
    every = Case(x, h, rng.standard_normal((T, K)), W, V)
    return Problem(every, Case(x, h, last, W, V_last), float(y_true), float(y_pred))


def _task(
    function: str,
    tensor: str,
    arguments: Callable[[Problem], Sequence[Any]],
    mistakes: tuple[Mistake, ...],
    case: Callable[[Problem], Case],
) -> Task:
    """Return the task of one gradient; all but that of the states start from the right gradients of the states."""

    def compute(problem: Problem, rules: Rules) -> list[Array]:
        seen = case(problem)
        dh = None if tensor == "h" else state_gradients(seen)
        return [gradients(seen, rules, dh)[tensor]]

    return Task(
        function,
        (f"dL/d{tensor}",),
        arguments,
        lambda problem: compute(problem, RIGHT),
        mistakes,
        lambda problem, mistake: compute(problem, mistake.change(RIGHT)),
    )


def _every(function: str, tensor: str, arguments: Callable[[Case], Sequence[Any]]) -> Task:
    mistakes = GIVEN + WAY_BACK if tensor == "h" else SUMS
    return _task(function, tensor, lambda p: arguments(p.every), mistakes, lambda p: p.every)


def _last(function: str, tensor: str, arguments: Callable[[Problem, Case], Sequence[Any]]) -> Task:
    mistakes = {"h": SQUARED + WAY_BACK, "c": SQUARED, "V": SQUARED + SUMS}.get(tensor, SUMS)
    return _task(function, tensor, lambda p: arguments(p, p.last), mistakes, lambda p: p.last)


WEATHER = Exercise(
    "weather",
    (
        _every("gradient_h", "h", lambda c: (c.dy, c.h, c.V, c.W)),
        _every("gradient_c", "c", lambda c: (c.dy,)),
        _every("gradient_b", "b", lambda c: (c.h, state_gradients(c))),
        _every("gradient_V", "V", lambda c: (c.dy, c.h)),
        _every("gradient_W", "W", lambda c: (c.h, state_gradients(c))),
        _every("gradient_U", "U", lambda c: (c.h, state_gradients(c), c.x)),
        _last("compute_gradient_h", "h", lambda p, c: (p.y_true, p.y_pred, c.h, c.V, c.W)),
        _last("compute_gradient_c", "c", lambda p, _: (p.y_true, p.y_pred)),
        _last("compute_gradient_b", "b", lambda _, c: (c.h, state_gradients(c))),
        _last("compute_gradient_V", "V", lambda p, c: (p.y_true, p.y_pred, c.h)),
        _last("compute_gradient_W", "W", lambda p, c: (p.y_true, p.y_pred, c.h, state_gradients(c))),
        _last("compute_gradient_U", "U", lambda p, c: (p.y_true, p.y_pred, c.h, state_gradients(c), c.x)),
    ),
    make_problem,
    {"W": "W", "U": "U", "V": "V", "h": "h", "x": "x"},
)
