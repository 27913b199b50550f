"""A forward pass, many to one, each place where one goes wrong in a function of its own; and the mistakes."""

# ruff: noqa: D103  # what the decorator is given says what each of them is

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bptt.verify.mistakes.mistake import mistake
from bptt.verify.mistakes.sweep import Array


@dataclass(frozen=True, eq=False)
class ForwardNetwork:
    """Weights (out, in), without biases: h_t = tanh(U x_t + W h_(t-1)), y = V h_T."""

    U: Array
    W: Array
    V: Array


@dataclass(frozen=True)
class ForwardRules:
    """How each place of the forward pass is computed; the defaults are right.

    Attributes
    ----------
    cell : callable (network, x_t, h_before) -> h_t
    carried : callable (h_0, h_t) -> state
        What the next step starts from.
    read : callable (states (T+1, H)) -> (H,)
        The state that the output is computed from.
    output : callable (number) -> number
    kept : callable (states) -> states
    """

    cell: Callable[[ForwardNetwork, Array, Array], Array] = lambda net, x, h: np.tanh(net.U @ x + net.W @ h)
    carried: Callable[[Array, Array], Array] = lambda _, h: h
    read: Callable[[Array], Array] = lambda h: h[-1]
    output: Callable[[Any], Any] = lambda y: y
    kept: Callable[[Array], Array] = lambda h: h


RIGHT_FORWARD = ForwardRules()


def forward(net: ForwardNetwork, x: Array, rules: ForwardRules = RIGHT_FORWARD) -> tuple[Array, Array]:
    """Return y (1,) and the states that are kept, (T+1, H) if rightly done."""
    h = [np.zeros(len(net.W))]
    for x_t in x:
        h.append(rules.cell(net, x_t, rules.carried(h[0], h[-1])))
    states = np.array(h)
    return rules.output(net.V @ rules.read(states)), rules.kept(states)


@mistake("the tanh is left out")
def tanh_left_out(rules: ForwardRules) -> ForwardRules:
    return replace(rules, cell=lambda net, x, h: net.U @ x + net.W @ h)


@mistake("a sigmoid where tanh is meant")
def sigmoid_for_tanh(rules: ForwardRules) -> ForwardRules:
    return replace(rules, cell=lambda net, x, h: 1 / (1 + np.exp(-(net.U @ x + net.W @ h))))


@mistake("the bracket: tanh is taken of the sum of both terms, not of each")
def tanh_of_each_term(rules: ForwardRules) -> ForwardRules:
    return replace(rules, cell=lambda net, x, h: np.tanh(net.U @ x) + np.tanh(net.W @ h))


@mistake("the bracket: the term {W} {h}_(t-1) stands outside the tanh")
def state_term_outside(rules: ForwardRules) -> ForwardRules:
    return replace(rules, cell=lambda net, x, h: np.tanh(net.U @ x) + net.W @ h)


@mistake("transposed: {W} @ {h}_(t-1), not {W}.T @ {h}_(t-1)")
def recurrent_transposed_forward(rules: ForwardRules) -> ForwardRules:
    return replace(rules, cell=lambda net, x, h: np.tanh(net.U @ x + net.W.T @ h))


@mistake("a term dropped: the state before, {W} {h}_(t-1), does not come in")
def state_left_out(rules: ForwardRules) -> ForwardRules:
    return replace(rules, cell=lambda net, x, h: np.tanh(net.U @ x + 0 * h))


@mistake("a term dropped: the input, {U} {x}_t, does not come in")
def input_left_out(rules: ForwardRules) -> ForwardRules:
    return replace(rules, cell=lambda net, _, h: np.tanh(net.W @ h))


@mistake("the state is not carried on: every step starts from {h}_0 instead of from the step before")
def state_not_carried(rules: ForwardRules) -> ForwardRules:
    return replace(rules, carried=lambda first, _: first)


@mistake("{h}_(t-1) for {h}_t: the output is computed from {h}_T, after the last input, not from {h}_(T-1)")
def output_of_the_state_before(rules: ForwardRules) -> ForwardRules:
    return replace(rules, read=lambda h: h[-2])


@mistake("the output is linear here, without a tanh of its own")
def output_through_tanh(rules: ForwardRules) -> ForwardRules:
    return replace(rules, output=np.tanh)


@mistake("the first state is not kept: {h}_0 belongs to the states too, T + 1 of them")
def first_state_not_kept(rules: ForwardRules) -> ForwardRules:
    return replace(rules, kept=lambda h: h[1:])


@mistake("the last state is not kept: {h}_T belongs to the states too, T + 1 of them")
def last_state_not_kept(rules: ForwardRules) -> ForwardRules:
    return replace(rules, kept=lambda h: h[:-1])


@mistake(
    "all states that are kept are one and the same array, overwritten at every step: keep a new array each time"
)
def one_array_kept(rules: ForwardRules) -> ForwardRules:
    return replace(rules, kept=lambda h: np.repeat(h[-1:], len(h), axis=0))


CELL = (
    tanh_left_out,
    sigmoid_for_tanh,
    tanh_of_each_term,
    state_term_outside,
    recurrent_transposed_forward,
    state_left_out,
    input_left_out,
)
FORWARD = (
    state_not_carried,
    output_of_the_state_before,
    output_through_tanh,
    first_state_not_kept,
    last_state_not_kept,
    one_array_kept,
    *CELL,
)
