"""Mistakes on the way from a state to the state before: they spoil every gradient but those of the readout."""

# ruff: noqa: D103  # what the decorator is given says what each of them is

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bptt.verify.mistakes.mistake import mistake
from bptt.verify.mistakes.sweep import Case, Rules


@mistake(
    "transposed: on the way back {W} stands the wrong way round. A column da goes back as {W}.T @ da, a row as da @ {W}"
)
def recurrent_not_transposed(rules: Rules) -> Rules:
    return replace(rules, back=lambda case, da: case.W @ da)


@mistake(
    "upstream term dropped: only the last step's output is let in; at inner steps {V}.T @ dy_t must be added to "
    "what comes from the step after"
)
def own_output_dropped(rules: Rules) -> Rules:
    own = rules.own
    return replace(
        rules, own=lambda case, dy, t: own(case, dy, t) if t == case.steps else np.zeros(case.h.shape[1])
    )


@mistake(
    "upstream term dropped: nothing comes back from the step after; a state also reaches the loss through the next "
    "state, so only the step of each output is counted"
)
def later_steps_dropped(rules: Rules) -> Rules:
    return replace(rules, back=lambda case, _: np.zeros(case.h.shape[1]))


@mistake("missing factor: 1 - {h}_t^2 is left out on the way back and in the sums")
def slope_dropped(rules: Rules) -> Rules:
    return replace(rules, slope_back=_one, slope_here=_one)


@mistake("missing factor: 1 - {h}_t^2 is left out on the way back to the state before")
def slope_dropped_on_the_way_back(rules: Rules) -> Rules:
    return replace(rules, slope_back=_one)


@mistake(
    "{h}_(t-1) for {h}_t: the slope of step t is 1 - {h}_t^2, in the state that its tanh gave, not 1 - {h}_(t-1)^2"
)
def slope_of_state_before(rules: Rules) -> Rules:
    return replace(rules, slope_back=_before, slope_here=_before)


@mistake(
    "wrong step: on the way back from step t the slope is 1 - {h}_t^2, of the later state, not 1 - {h}_(t-1)^2 "
    "(entry 1 of the errata)"
)
def slope_of_state_before_on_the_way_back(rules: Rules) -> Rules:
    return replace(rules, slope_back=_before)


@mistake("missing square: the slope of tanh is 1 - {h}_t^2, not 1 - {h}_t")
def slope_not_squared(rules: Rules) -> Rules:
    return replace(rules, slope_back=_not_squared, slope_here=_not_squared)


@mistake("missing square: on the way back the slope of tanh is 1 - {h}_t^2, not 1 - {h}_t")
def slope_not_squared_on_the_way_back(rules: Rules) -> Rules:
    return replace(rules, slope_back=_not_squared)


@mistake(
    "tanh twice: {h}_t is tanh of its argument already, so the slope is 1 - {h}_t^2, not 1 - tanh({h}_t)^2"
)
def tanh_taken_twice(rules: Rules) -> Rules:
    return replace(rules, slope_back=_twice, slope_here=_twice)


@mistake("the bracket: the slope of tanh is 1 - {h}_t^2, not (1 - {h}_t)^2")
def slope_bracket(rules: Rules) -> Rules:
    return replace(rules, slope_back=_bracket, slope_here=_bracket)


@mistake("a sigmoid's slope, {h}_t (1 - {h}_t), where tanh's is meant: 1 - {h}_t^2")
def sigmoid_slope(rules: Rules) -> Rules:
    return replace(rules, slope_back=_sigmoid, slope_here=_sigmoid)


@mistake(
    "wrong step: every step has a slope of its own, 1 - {h}_t^2, not that of the last one, 1 - {h}_T^2 "
    "(entry 14 of the errata)"
)
def slope_of_the_last_step(rules: Rules) -> Rules:
    return replace(rules, slope_back=_last, slope_here=_last)


@mistake(
    "wrong order: first the slope, then {W}: {W}.T @ ((1 - {h}_t^2) * dh_t), not (1 - {h}_t^2) * ({W}.T @ dh_t)"
)
def slope_after_the_weight(rules: Rules) -> Rules:
    return replace(
        rules, carry=lambda r, case, t, own, came: r.slope_back(case, t) * r.back(case, own + came)
    )


@mistake(
    "missing factor: 1 - {h}_t^2 belongs to both terms of dh_t; what comes from the step after is added behind it"
)
def slope_of_own_output_only(rules: Rules) -> Rules:
    return replace(rules, arrive=lambda slope, own, came: slope * own + came)


@mistake(
    "a factor too many: what the output gives its own state, {V}.T @ dy_t, is multiplied with 1 - {h}_t^2 already, and "
    "then once more on the way back"
)
def slope_in_the_output_term(rules: Rules) -> Rules:
    own = rules.own
    return replace(rules, own=lambda case, dy, t: (1 - case.h[t] ** 2) * own(case, dy, t))


@mistake(
    "added where it is to be replaced: the state before gets {W}.T @ da_t alone, and dh_t itself, which came from "
    "later, is not handed on (+= for =)"
)
def whole_gradient_kept(rules: Rules) -> Rules:
    carry = rules.carry
    return replace(rules, carry=lambda r, case, t, own, came: carry(r, case, t, own, came) + own + came)


@mistake(
    "added where it is to be replaced: what comes back to the state before is {W}.T @ da_t alone; what came back to "
    "later states is used up (+= for =)"
)
def what_came_kept(rules: Rules) -> Rules:
    carry = rules.carry
    return replace(rules, carry=lambda r, case, t, own, came: carry(r, case, t, own, came) + came)


@mistake("wrong step: state {h}_t gets the gradient of its own output, not that of the next step's")
def output_of_the_next_step(rules: Rules) -> Rules:
    own = rules.own
    return replace(rules, own=lambda case, dy, t: own(case, dy, min(t + 1, case.steps)))


@mistake("sign of the slope: it is 1 - {h}_t^2, not {h}_t^2 - 1")
def slope_negated(rules: Rules) -> Rules:
    return replace(
        rules, slope_back=lambda case, t: case.h[t] ** 2 - 1, slope_here=lambda case, t: case.h[t] ** 2 - 1
    )


@mistake(
    "a factor too many: what is handed out has 1 - {h}_t^2 of its own step in it already; dL/d{h}_t has not"
)
def slope_of_own_step_in_it(rules: Rules) -> Rules:
    return replace(
        rules,
        shown=lambda case, dh: np.concatenate([dh[:1], (1 - case.h[1:] ** 2) * dh[1:]]),
    )


@mistake("the initial state left out: its gradient, row 0, comes back from step 1 like the others")
def initial_state_left_out(rules: Rules) -> Rules:
    return replace(rules, shown=lambda _, dh: np.concatenate([np.zeros_like(dh[:1]), dh[1:]]))


@mistake(
    "the initial state has no output: its row, 0, gets only what comes back from step 1. An index t - 1 = -1 is, in "
    "Python, the last row"
)
def initial_state_with_an_output(rules: Rules) -> Rules:
    return replace(rules, shown=lambda case, dh: np.concatenate([dh[:1] + case.V.T @ case.dy[-1], dh[1:]]))


def _one(case: Case, _: int) -> Any:
    return np.ones(case.h.shape[1])


def _before(case: Case, t: int) -> Any:
    return 1 - case.h[t - 1] ** 2


def _not_squared(case: Case, t: int) -> Any:
    return 1 - case.h[t]


def _twice(case: Case, t: int) -> Any:
    return 1 - np.tanh(case.h[t]) ** 2


def _bracket(case: Case, t: int) -> Any:
    return (1 - case.h[t]) ** 2


def _sigmoid(case: Case, t: int) -> Any:
    return case.h[t] * (1 - case.h[t])


def _last(case: Case, _: int) -> Any:
    return 1 - case.h[-1] ** 2


WAY_BACK = (
    recurrent_not_transposed,
    own_output_dropped,
    later_steps_dropped,
    slope_dropped,
    slope_dropped_on_the_way_back,
    slope_of_state_before,
    slope_of_state_before_on_the_way_back,
    slope_not_squared,
    slope_not_squared_on_the_way_back,
    tanh_taken_twice,
    slope_negated,
    slope_bracket,
    sigmoid_slope,
    slope_of_the_last_step,
    slope_after_the_weight,
    slope_of_own_output_only,
    slope_in_the_output_term,
    whole_gradient_kept,
    what_came_kept,
    output_of_the_next_step,
    slope_of_own_step_in_it,
    initial_state_left_out,
    initial_state_with_an_output,
)
