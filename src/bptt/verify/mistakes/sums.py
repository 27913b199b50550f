"""Mistakes in the sum over the steps that makes a parameter's gradient of the states' gradients."""

# ruff: noqa: D103  # what the decorator is given says what each of them is

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bptt.verify.mistakes.mistake import mistake
from bptt.verify.mistakes.sweep import Array, Rules

BIASES = ("b", "c")


@mistake("sign: it is minus the gradient")
def sum_negated(rules: Rules) -> Rules:
    total = rules.total
    return replace(rules, total=lambda name, terms: -total(name, terms))


@mistake(
    "transposed: row i of the outer product belongs to the unit that receives, column j to the one that sends"
)
def outer_transposed(rules: Rules) -> Rules:
    return replace(rules, outer=lambda upstream, left: np.outer(left, upstream))


@mistake("{h}_t for {h}_(t-1): at step t {W} was multiplied with {h}_(t-1)")
def state_of_same_step(rules: Rules) -> Rules:
    return replace(rules, sent_to_state=lambda case, t: case.h[t])


@mistake("{h}_(t-1) for {h}_t: at step t {V} was multiplied with {h}_t")
def state_before_at_the_output(rules: Rules) -> Rules:
    return replace(rules, sent_to_output=lambda case, t: case.h[t - 1])


@mistake("wrong step: at step t {U} was multiplied with {x}_t, not with {x}_(t-1)")
def input_of_step_before(rules: Rules) -> Rules:
    # The index -1 that stands there at the first step is, in Python, the last one.
    return replace(rules, sent_by_input=lambda case, t: case.x[t - 2])


@mistake("wrong step: at step t {U} was multiplied with {x}_t, not with {x}_(t+1)")
def input_of_next_step(rules: Rules) -> Rules:
    return replace(
        rules, sent_by_input=lambda case, t: case.x[t] if t < case.steps else np.zeros_like(case.x[0])
    )


@mistake("missing factor: 1 - {h}_t^2 is left out in the sum over the steps")
def slope_dropped_in_the_sum(rules: Rules) -> Rules:
    return replace(rules, slope_here=lambda case, _: np.ones(case.h.shape[1]))


@mistake("{h}_(t-1) for {h}_t: the slope in the sum is 1 - {h}_t^2, not 1 - {h}_(t-1)^2")
def slope_of_state_before_in_the_sum(rules: Rules) -> Rules:
    return replace(rules, slope_here=lambda case, t: 1 - case.h[t - 1] ** 2)


@mistake("missing square: the slope of tanh in the sum is 1 - {h}_t^2, not 1 - {h}_t")
def slope_not_squared_in_the_sum(rules: Rules) -> Rules:
    return replace(rules, slope_here=lambda case, t: 1 - case.h[t])


@mistake("a factor too many: 1 - {h}_t^2 stands twice in the sum")
def slope_twice_in_the_sum(rules: Rules) -> Rules:
    return replace(rules, slope_here=lambda case, t: (1 - case.h[t] ** 2) ** 2)


@mistake("tanh twice: the slope in the sum is 1 - {h}_t^2, not 1 - tanh({h}_t)^2")
def tanh_taken_twice_in_the_sum(rules: Rules) -> Rules:
    return replace(rules, slope_here=lambda case, t: 1 - np.tanh(case.h[t]) ** 2)


@mistake("the bracket: the slope of tanh in the sum is 1 - {h}_t^2, not (1 - {h}_t)^2")
def slope_bracket_in_the_sum(rules: Rules) -> Rules:
    return replace(rules, slope_here=lambda case, t: (1 - case.h[t]) ** 2)


@mistake("a sigmoid's slope in the sum, {h}_t (1 - {h}_t), where tanh's is meant: 1 - {h}_t^2")
def sigmoid_slope_in_the_sum(rules: Rules) -> Rules:
    return replace(rules, slope_here=lambda case, t: case.h[t] * (1 - case.h[t]))


@mistake(
    "wrong step: every term of the sum has a slope of its own, 1 - {h}_t^2, not that of the last step, 1 - {h}_T^2"
)
def slope_of_the_last_step_in_the_sum(rules: Rules) -> Rules:
    return replace(rules, slope_here=lambda case, _: 1 - case.h[-1] ** 2)


@mistake("wrong step: the term of step t has the gradient of {h}_t in it, not that of {h}_(t-1)")
def gradient_of_the_step_before(rules: Rules) -> Rules:
    return replace(rules, felt=lambda t: t - 1)


@mistake(
    "the product of two sums where the sum of products is meant: each step's outer product first, then the sum "
    "over the steps"
)
def product_of_sums(rules: Rules) -> Rules:
    return replace(
        rules,
        sent_to_output=lambda case, _: case.h[1:].sum(axis=0),
        sent_to_state=lambda case, _: case.h[:-1].sum(axis=0),
        sent_by_input=lambda case, _: case.x.sum(axis=0),
    )


@mistake(
    "only the last step counted: a parameter is used at every step, and its gradient is the sum over all of them"
)
def only_the_last_step(rules: Rules) -> Rules:
    return replace(rules, total=lambda _, terms: terms[-1])


@mistake(
    "only the first step counted: going backwards, = in place of += leaves what was computed last; "
    "the gradient is the sum over all steps"
)
def only_the_first_step(rules: Rules) -> Rules:
    return replace(rules, total=lambda _, terms: terms[0])


@mistake("the first step is left out of the sum: the loop ends one step too early")
def first_step_dropped(rules: Rules) -> Rules:
    return replace(rules, total=lambda _, terms: terms[1:].sum(axis=0))


@mistake("the last step is left out of the sum: the loop begins one step too late")
def last_step_dropped(rules: Rules) -> Rules:
    return replace(rules, total=lambda _, terms: terms[:-1].sum(axis=0))


@mistake("one step too many: the initial state, row 0, was made by no bias")
def initial_state_summed(rules: Rules) -> Rules:
    return replace(rules, bias_from=0)


@mistake("bias not summed: a bias is used at every step, and its gradient is the sum over the steps")
def bias_not_summed(rules: Rules) -> Rules:
    return _biases(rules, lambda terms: terms)


@mistake(
    "summed over the wrong axis: over the units of each step. The sum goes over the steps, one number a unit"
)
def bias_summed_over_units(rules: Rules) -> Rules:
    return _biases(rules, lambda terms: terms.sum(axis=1))


@mistake("summed over the wrong axis: over steps and units, to one number. The sum goes over the steps alone")
def bias_summed_over_everything(rules: Rules) -> Rules:
    return _biases(rules, lambda terms: terms.sum())


@mistake(
    "summed over the wrong axis: over the rows of each step's outer product. The sum goes over the steps"
)
def weight_summed_over_rows(rules: Rules) -> Rules:
    return _weights(rules, 1)


@mistake(
    "summed over the wrong axis: over the columns of each step's outer product. The sum goes over the steps"
)
def weight_summed_over_columns(rules: Rules) -> Rules:
    return _weights(rules, 2)


@mistake("a mean where a sum is meant: the gradient is the sum over the steps, not divided by their number")
def mean_over_steps(rules: Rules) -> Rules:
    return replace(rules, total=lambda _, terms: terms.mean(axis=0))


@mistake("a mean where a sum is meant: the gradient is the sum over the steps, not divided by T + 1 states")
def mean_over_states(rules: Rules) -> Rules:
    return replace(rules, total=lambda _, terms: terms.sum(axis=0) / (len(terms) + 1))


def _biases(rules: Rules, total: Callable[[Array], Any]) -> Rules:
    right = rules.total
    return replace(rules, total=lambda name, terms: total(terms) if name in BIASES else right(name, terms))


def _weights(rules: Rules, axis: int) -> Rules:
    right = rules.total
    return replace(
        rules, total=lambda name, terms: right(name, terms) if name in BIASES else terms.sum(axis=axis)
    )


SUMS = (
    sum_negated,
    outer_transposed,
    state_of_same_step,
    state_before_at_the_output,
    slope_dropped_in_the_sum,
    slope_of_state_before_in_the_sum,
    slope_not_squared_in_the_sum,
    slope_twice_in_the_sum,
    tanh_taken_twice_in_the_sum,
    slope_bracket_in_the_sum,
    sigmoid_slope_in_the_sum,
    slope_of_the_last_step_in_the_sum,
    gradient_of_the_step_before,
    product_of_sums,
    only_the_last_step,
    only_the_first_step,
    first_step_dropped,
    last_step_dropped,
    input_of_step_before,
    input_of_next_step,
    initial_state_summed,
    bias_not_summed,
    bias_summed_over_units,
    bias_summed_over_everything,
    weight_summed_over_rows,
    weight_summed_over_columns,
    mean_over_steps,
    mean_over_states,
)
