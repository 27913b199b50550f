"""The gradients of an Elman network by its equations, each place where one goes wrong in a function of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """One sequence, seen by hand-written code: columns, a weight (out, in) stands left of its input.

    Attributes
    ----------
    x : ndarray (T, D)
        Row t - 1 is the input of step t.
    h : ndarray (T+1, H)
        Row 0 is the initial state, row t follows step t: h_t = tanh(W h_(t-1) + U x_t + b).
    dy : ndarray (T, K)
        Gradient of the loss with respect to the outputs V h_t + c; zero where a step has no output.
    W, V : ndarray (H, H), (K, H)
    others : mapping of str to ndarray (T, K)
        What `dy` would be with a mistake in the gradient of the loss, by the mistake's name.
    """

    x: Array
    h: Array
    dy: Array
    W: Array
    V: Array
    others: Mapping[str, Array] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """How many steps."""
        return len(self.x)


@dataclass(frozen=True)
class Rules:
    """How each place of the backward pass is computed; the defaults are right.

    Attributes
    ----------
    dy : callable (case) -> (T, K)
    own : callable (case, dy, t) -> (H,)
        What the state of step t gets from its own output.
    back : callable (case, da) -> (H,)
        What the state before gets from da = slope * dh.
    slope_back, slope_here : callable (case, t) -> (H,)
        1 - h_t^2, on the way to the state before, and in the sums.
    arrive : callable (slope, own, came) -> (H,)
        da from what the step's output gave its state, and what came from the step after.
    carry : callable (rules, case, t, own, came) -> (H,)
        What the state before step t gets.
    felt : callable (t) -> row
        The row of the states' gradients that the sums take at step t.
    shown : callable (case, dh) -> (T+1, H)
        What is handed out as the gradient of the states.
    sent_to_output, sent_to_state, sent_by_input : callable (case, t) -> vector
        What a weight was multiplied with at step t.
    outer : callable (upstream, left) -> matrix
    total : callable (name, terms (T, ...)) -> array
        The sum over the steps.
    bias_from : int
        The step with which the sum of the states' bias begins.
    """

    dy: Callable[[Case], Array] = lambda case: case.dy
    own: Callable[[Case, Array, int], Array] = lambda case, dy, t: case.V.T @ dy[t - 1]
    back: Callable[[Case, Array], Array] = lambda case, da: case.W.T @ da
    slope_back: Callable[[Case, int], Array] = lambda case, t: 1 - case.h[t] ** 2
    slope_here: Callable[[Case, int], Array] = lambda case, t: 1 - case.h[t] ** 2
    arrive: Callable[[Array, Array, Array], Array] = lambda slope, own, came: slope * (own + came)
    carry: Callable[[Rules, Case, int, Array, Array], Array] = lambda rules, case, t, own, came: rules.back(
        case, rules.arrive(rules.slope_back(case, t), own, came)
    )
    felt: Callable[[int], int] = lambda t: t
    shown: Callable[[Case, Array], Array] = lambda _, dh: dh
    sent_to_output: Callable[[Case, int], Array] = lambda case, t: case.h[t]
    sent_to_state: Callable[[Case, int], Array] = lambda case, t: case.h[t - 1]
    sent_by_input: Callable[[Case, int], Array] = lambda case, t: case.x[t - 1]
    outer: Callable[[Array, Array], Any] = np.outer
    total: Callable[[str, Array], Any] = lambda _, terms: terms.sum(axis=0)
    bias_from: int = 1


RIGHT = Rules()


def state_gradients(case: Case, rules: Rules = RIGHT) -> Array:
    """Return dL/dh_t for t = 0..T, (T+1, H)."""
    dy, dh = rules.dy(case), np.zeros_like(case.h)
    for t in range(case.steps, 0, -1):
        own = rules.own(case, dy, t)
        dh[t - 1] = rules.carry(rules, case, t, own, dh[t])
        dh[t] = own + dh[t]
    return dh


def gradients(case: Case, rules: Rules = RIGHT, dh: Array | None = None) -> dict[str, Array]:
    """Return every gradient: ``h`` of the states, ``c``, ``b``, ``V``, ``W``, ``U``.

    Parameters
    ----------
    case : Case
    rules : Rules
    dh : ndarray (T+1, H), optional
        Gradients of the states that the others start from; from `rules` too unless given.
    """
    steps = range(1, case.steps + 1)
    dy = rules.dy(case)
    dh = state_gradients(case, rules) if dh is None else dh
    none = np.zeros_like(dh[0])

    def upstream(t: int) -> Array:
        row = rules.felt(t)
        own = rules.own(case, dy, row) if row > 0 else none
        return rules.arrive(rules.slope_here(case, t), own, dh[row] - own)

    # Row 0 has a gradient too, but no parameter made the initial state.
    da = np.array([upstream(t) for t in (0, *steps)])
    terms = {
        "c": dy,
        "b": da[rules.bias_from :],
        "V": np.array([rules.outer(dy[t - 1], rules.sent_to_output(case, t)) for t in steps]),
        "W": np.array([rules.outer(da[t], rules.sent_to_state(case, t)) for t in steps]),
        "U": np.array([rules.outer(da[t], rules.sent_by_input(case, t)) for t in steps]),
    }
    return {
        "h": rules.shown(case, dh),
        **{name: np.asarray(rules.total(name, each)) for name, each in terms.items()},
    }


def gradient_of_paths(case: Case, size: int, rules: Rules = RIGHT) -> Array:
    """Return the part of dL/dW that came from an output over exactly `size` hidden-to-hidden Jacobians."""
    dy = rules.dy(case)
    terms = []
    for s in range(size + 1, case.steps + 1):
        own = rules.own(case, dy, s)
        none = np.zeros_like(own)
        came = none
        for t in range(s, s - size, -1):
            came = rules.carry(rules, case, t, own, came)
            own = none
        here = s - size
        da = rules.arrive(rules.slope_here(case, here), own, came)
        terms.append(rules.outer(da, rules.sent_to_state(case, here)))
    return np.asarray(rules.total("W", np.array(terms)))
