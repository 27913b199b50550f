"""The sine lab's exercise: the template's class, with cell, forward pass, loss and backward pass to fill in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.labs.exercises.exercise import Array, Exercise, Task
from bptt.verify.mistakes import (
    CELL,
    FORWARD,
    HALF_SQUARED,
    LOSS_VALUE,
    RIGHT,
    RIGHT_FORWARD,
    SUMS,
    WAY_BACK,
    Case,
    ForwardNetwork,
    ForwardRules,
    Rules,
    forward,
    gradients,
    half_squared,
    only_the_last_step,
)

# T, H
SIZES = ((5, 4), (4, 6), (7, 3))

# With one output at the end, "nothing comes back" and "only the last step is counted" are the same numbers.
BACKWARD = (*HALF_SQUARED, only_the_last_step, *WAY_BACK, *SUMS)


@dataclass(frozen=True, eq=False)
class Problem:
    """A random window, a random network, and any state and target."""

    net: ForwardNetwork
    x: Array
    h_before: Array
    sample_y: float

    @property
    def y(self) -> float:
        """The prediction."""
        return float(forward(self.net, self.x)[0].item())

    @property
    def states(self) -> Array:
        """The states (T+1, H)."""
        return forward(self.net, self.x)[1]

    @property
    def case(self) -> Case:
        """What the backward pass sees."""
        dy = np.zeros((len(self.x), 1))
        dy[-1] = self.y - self.sample_y
        return Case(self.x, self.states, dy, self.net.W, self.net.V)

    @property
    def weights(self) -> dict[str, Array]:
        """As the class has them."""
        return {"W_XH": self.net.U, "W_HH": self.net.W, "W_HY": self.net.V}


def make_problem(rng: np.random.Generator, number: int) -> Problem:
    """Return a random problem."""
    T, H = SIZES[number]
    U, W, V = (rng.standard_normal(shape) for shape in ((H, 1), (H, H), (1, H)))
    x, h = rng.standard_normal((T, 1)), np.tanh(rng.standard_normal(H))
    net = ForwardNetwork(U, 0.6 * W, V)
    error = abs(rng.standard_normal()) * (1 if number % 2 else -1)  # of both signs
    return Problem(net, x, h, float(forward(net, x)[0].item() - error))


def _options(problem: Problem) -> dict[str, Any]:
    return {"hidden_units": len(problem.net.W)}


def _cell(problem: Problem, rules: ForwardRules) -> list[Array]:
    return [rules.cell(problem.net, problem.x[0], problem.h_before)[:, None]]


def _gradients(problem: Problem, rules: Rules) -> list[Array]:
    found = gradients(problem.case, rules)
    return [found["U"], found["W"], found["V"]]


SINE = Exercise(
    "sine",
    (
        Task(
            "RNN.cell",
            ("h_t",),
            lambda p: (p.x[0], p.h_before[:, None]),
            lambda p: _cell(p, RIGHT_FORWARD),
            CELL,
            lambda p, mistake: _cell(p, mistake.change(RIGHT_FORWARD)),
            options=_options,
            attributes=lambda p: p.weights,
        ),
        Task(
            "RNN.forward",
            ("y", "hidden_states"),
            lambda p: (p.x,),
            lambda p: forward(p.net, p.x),
            FORWARD,
            lambda p, mistake: forward(p.net, p.x, mistake.change(RIGHT_FORWARD)),
            options=_options,
            attributes=lambda p: p.weights,
            reads=("hidden_states",),
        ),
        Task(
            "RNN.loss",
            ("L",),
            lambda p: (p.y, p.sample_y),
            lambda p: [np.array(half_squared(p.y, p.sample_y))],
            LOSS_VALUE,
            lambda p, mistake: [np.array(mistake.change(half_squared)(p.y, p.sample_y))],
            options=_options,
        ),
        Task(
            "RNN.backward",
            ("dL/dW_XH", "dL/dW_HH", "dL/dW_HY"),
            lambda p: (p.x, p.y, p.sample_y),
            lambda p: _gradients(p, RIGHT),
            BACKWARD,
            lambda p, mistake: _gradients(p, mistake.change(RIGHT)),
            options=_options,
            # Our own states, so that a mistake on the way there is not seen once more on the way back.
            attributes=lambda p: {**p.weights, "hidden_states": p.states[:, :, None]},
        ),
    ),
    make_problem,
    {"W": "W_HH", "U": "W_XH", "V": "W_HY", "h": "h", "x": "X"},
)
