"""Mistakes in half the squared error itself."""

# ruff: noqa: D103  # what the decorator is given says what each of them is

from __future__ import annotations

from collections.abc import Callable

from bptt.verify.mistakes.mistake import mistake

# From prediction and target to the loss.
Loss = Callable[[float, float], float]


def half_squared(y: float, target: float) -> float:
    """Return half the squared error, as it should be."""
    return (y - target) ** 2 / 2


@mistake("missing factor: the half in front of the square is left out")
def half_left_out(_: Loss) -> Loss:
    return lambda y, target: (y - target) ** 2


@mistake("the square is left out")
def square_left_out(_: Loss) -> Loss:
    return lambda y, target: (y - target) / 2


@mistake("an absolute value where a square is meant")
def absolute_for_square(_: Loss) -> Loss:
    return lambda y, target: abs(y - target) / 2


@mistake(
    "the loss is of the difference of prediction and target; the product is a slip of the page (errata, 27)"
)
def product_for_difference(_: Loss) -> Loss:
    return lambda y, target: (y * target) ** 2 / 2


@mistake("the square is taken of each, not of the difference")
def difference_of_squares(_: Loss) -> Loss:
    return lambda y, target: (y**2 - target**2) / 2


LOSS_VALUE = (
    half_left_out,
    square_left_out,
    absolute_for_square,
    product_for_difference,
    difference_of_squares,
)
