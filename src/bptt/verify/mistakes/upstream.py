"""Mistakes in the gradient of the loss with respect to the outputs: they spoil everything behind them."""

# ruff: noqa: D103  # what the decorator is given says what each of them is

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bptt.verify.mistakes.mistake import mistake
from bptt.verify.mistakes.sweep import Rules


@mistake("sign: the error is prediction minus target, in this order")
def sign(rules: Rules) -> Rules:
    dy = rules.dy
    return replace(rules, dy=lambda case: -dy(case))


@mistake("sign: it is minus the gradient")
def negated(rules: Rules) -> Rules:
    dy = rules.dy
    return replace(rules, dy=lambda case: -dy(case))


@mistake("missing factor: the 2 of the square's derivative, 2 (prediction - target), is left out")
def factor_two_missing(rules: Rules) -> Rules:
    dy = rules.dy
    return replace(rules, dy=lambda case: dy(case) / 2)


@mistake("a factor too many: the derivative of half a square is the error itself, without a 2")
def factor_two_too_many(rules: Rules) -> Rules:
    dy = rules.dy
    return replace(rules, dy=lambda case: 2 * dy(case))


@mistake("an absolute value: the derivative of a square has the sign of the error, prediction minus target")
def error_without_sign(rules: Rules) -> Rules:
    dy = rules.dy
    return replace(rules, dy=lambda case: np.abs(dy(case)))


@mistake("the loss itself, a square, stands where its derivative, 2 (prediction - target), is meant")
def square_for_its_derivative(rules: Rules) -> Rules:
    dy = rules.dy
    return replace(rules, dy=lambda case: (dy(case) / 2) ** 2)


@mistake("the loss itself, half a square, stands where its derivative, prediction - target, is meant")
def half_square_for_its_derivative(rules: Rules) -> Rules:
    dy = rules.dy
    return replace(rules, dy=lambda case: dy(case) ** 2 / 2)


@mistake("missing factor: the loss is a mean over the steps, and 1/T is left out")
def mean_forgotten(rules: Rules) -> Rules:
    dy = rules.dy
    return replace(rules, dy=lambda case: case.steps * dy(case))


@mistake("the target is not subtracted: softmax and cross-entropy together give o_t - y_t, with y_t one-hot")
def target_not_subtracted(rules: Rules) -> Rules:
    return replace(rules, dy=lambda case: case.others["target_not_subtracted"])


@mistake(
    "a factor too many: o_t - y_t has the softmax's derivative in it already, and o_t (1 - o_t) is multiplied on"
)
def softmax_slope_again(rules: Rules) -> Rules:
    return replace(rules, dy=lambda case: case.others["softmax_slope_again"])


@mistake(
    "missing factor: -y_t / o_t is the gradient with respect to o_t; the softmax's derivative is left out"
)
def softmax_slope_dropped(rules: Rules) -> Rules:
    return replace(rules, dy=lambda case: case.others["softmax_slope_dropped"])


@mistake(
    "a mean over the wrong axis: the loss is divided by the T steps, not by the number of answers to choose from"
)
def mean_over_classes(rules: Rules) -> Rules:
    dy = rules.dy
    return replace(rules, dy=lambda case: dy(case) * case.steps / len(case.V))


@mistake("the index y alone takes whole rows of o: one entry of each row is meant, o[np.arange(T), y] -= 1")
def rows_for_entries(rules: Rules) -> Rules:
    return replace(rules, dy=lambda case: case.others["rows_for_entries"])


@mistake(
    "1 is subtracted from every answer: o_t - y_t, with y_t one-hot, subtracts it from the right one alone"
)
def one_from_every_answer(rules: Rules) -> Rules:
    return replace(rules, dy=lambda case: case.others["one_from_every_answer"])


GIVEN = (negated,)
SQUARED = (sign, factor_two_missing, error_without_sign, square_for_its_derivative)
HALF_SQUARED = (sign, factor_two_too_many, error_without_sign, half_square_for_its_derivative)
SOFTMAX = (
    sign,
    mean_forgotten,
    target_not_subtracted,
    softmax_slope_again,
    softmax_slope_dropped,
    mean_over_classes,
    rows_for_entries,
    one_from_every_answer,
)
