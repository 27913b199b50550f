"""Mistakes in taking a gradient apart by the length of its paths."""

# ruff: noqa: D103  # what the decorator is given says what each of them is

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from bptt.verify.mistakes.mistake import Mistake, mistake
from bptt.verify.mistakes.sweep import RIGHT, Array, Case, Rules, gradient_of_paths


@dataclass(frozen=True)
class PathRules:
    """How the part of dL/dW over paths of one length is computed, and a profile of the parts; the defaults are right.

    Attributes
    ----------
    rules : Rules
    sizes : callable (steps, size) -> sizes
        Which lengths are taken where `size` is asked for.
    measure : callable (part) -> float
        What the profile shows of a part.
    """

    rules: Rules = RIGHT
    sizes: Callable[[int, int], Iterable[int]] = lambda _, size: (size,)
    measure: Callable[[Array], float] = lambda part: float(np.mean(np.abs(part)))


RIGHT_PATHS = PathRules()


def part_of(case: Case, size: int, rules: PathRules = RIGHT_PATHS) -> Array:
    """Return the part of dL/dW (H, H) over paths of `size` hidden-to-hidden Jacobians."""
    taken = [k for k in rules.sizes(case.steps, size) if 0 <= k < case.steps]
    if not taken:
        return np.zeros_like(case.W)
    parts = np.array([gradient_of_paths(case, k, rules.rules) for k in taken])
    return np.asarray(parts.sum(axis=0))


def profile(case: Case, rules: PathRules = RIGHT_PATHS) -> Array:
    """Return what `measure` says of the parts of each size (T,)."""
    return np.array([rules.measure(part_of(case, size, rules)) for size in range(case.steps)])


@mistake("off by one: a path of size k crosses k factors ds_i/ds_(i-1), and one more is taken here")
def one_longer(rules: PathRules) -> PathRules:
    return replace(rules, sizes=lambda _, size: (size + 1,))


@mistake("off by one: a path of size k crosses k factors ds_i/ds_(i-1), and one less is taken here")
def one_shorter(rules: PathRules) -> PathRules:
    return replace(rules, sizes=lambda _, size: (size - 1,))


@mistake("shorter paths are in it too: only those of exactly this size are meant, not those up to it")
def shorter_ones_too(rules: PathRules) -> PathRules:
    return replace(rules, sizes=lambda _, size: range(size + 1))


@mistake("longer paths are in it too: only those of exactly this size are meant, not those from it on")
def longer_ones_too(rules: PathRules) -> PathRules:
    return replace(rules, sizes=lambda steps, size: range(size, steps))


@mistake("the size is not looked at: this is the gradient of all paths")
def size_not_looked_at(rules: PathRules) -> PathRules:
    return replace(rules, sizes=lambda steps, _: range(steps))


@mistake("the mean is taken before the absolute value: entries of both signs cancel")
def mean_before_absolute(rules: PathRules) -> PathRules:
    return replace(rules, measure=lambda part: float(np.abs(np.mean(part))))


@mistake("no absolute value is taken: entries of both signs cancel")
def absolute_forgotten(rules: PathRules) -> PathRules:
    return replace(rules, measure=lambda part: float(np.mean(part)))


@mistake("a sum where a mean is meant: divide by the number of entries")
def sum_of_absolutes(rules: PathRules) -> PathRules:
    return replace(rules, measure=lambda part: float(np.sum(np.abs(part))))


@mistake("a norm where a mean of absolute values is meant")
def norm_of_the_part(rules: PathRules) -> PathRules:
    return replace(rules, measure=lambda part: float(np.linalg.norm(part)))


def on_paths(mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
    """Return mistakes in the rules of the backward pass as mistakes in those of the paths."""

    def lift(one: Mistake) -> Mistake:
        return Mistake(one.name, one.says, lambda rules: replace(rules, rules=one.change(rules.rules)))

    return tuple(lift(one) for one in mistakes)


PATHS = (one_longer, one_shorter, shorter_ones_too, longer_ones_too, size_not_looked_at)
PROFILE = (mean_before_absolute, absolute_forgotten, sum_of_absolutes, norm_of_the_part)
