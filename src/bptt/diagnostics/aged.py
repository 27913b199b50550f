"""Gradients sorted by age: how many hidden-to-hidden Jacobians each has crossed since it left its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Aged:
    """What arrives at one step, apart by age.

    Attributes
    ----------
    ages : ndarray (n,), int64
        Descending, each once: what comes in new has age 0 and stands last.
    values : ndarray (n, B, H)
    """

    ages: Whole
    values: Array


# One entry a step; None where nothing arrives.
Steps = list[Aged | None]


def newborn(gradients: Array) -> Steps:
    """Return gradients (T, B, H) as entries of age 0; None for steps whose gradient is zero everywhere."""
    zero = np.zeros(1, np.int64)
    return [Aged(zero, d[None]) if d.any() else None for d in gradients]


def at_the_end(gradient: Array, lengths: Whole | None, steps: int) -> Steps:
    """Return a gradient (B, H) of the final state as entries of age 0, each row's at its own last valid step."""
    last = np.full(len(gradient), steps - 1) if lengths is None else lengths - 1
    return newborn(np.where((np.arange(steps)[:, None] == last)[:, :, None], gradient, 0.0))


def union(one: Whole, other: Whole) -> Whole:
    """Return the ages of both, descending."""
    return np.union1d(one, other)[::-1]


def places(ages: Whole, within: Whole) -> Whole | slice:
    """Return where `ages` stand within ages that hold them all; a slice where they stand together."""
    where = np.searchsorted(-within, -ages)
    if len(where) and where[-1] - where[0] == len(where) - 1:
        return slice(int(where[0]), int(where[-1]) + 1)
    return where


def spread(entry: Aged, ages: Whole) -> Array:
    """Return the values (len(ages), B, H) of an entry whose ages are all among `ages`; zeros elsewhere."""
    if len(ages) == len(entry.ages):
        return entry.values
    found = np.zeros((len(ages), *entry.values.shape[1:]), entry.values.dtype)
    found[places(entry.ages, ages)] = entry.values
    return found


def plus(one: Aged | None, other: Aged | None) -> Aged | None:
    """Return the sum, age by age."""
    if one is None or other is None:
        return one if other is None else other
    ages = union(one.ages, other.ages)
    return Aged(ages, spread(one, ages) + spread(other, ages))


def columns(steps: Steps, which: slice) -> Steps:
    """Return the entries with those columns alone: one direction's share of the outputs."""
    return [None if entry is None else Aged(entry.ages, entry.values[..., which]) for entry in steps]


def turned(steps: Steps, order: Whole | None) -> Steps:
    """Return the entries in the other direction of time; `order` (T, B) where rows differ in length."""
    if order is None:
        return steps[::-1]
    return [_gathered(steps, sources) for sources in order]


def _gathered(steps: Sequence[Aged | None], sources: Whole) -> Aged | None:
    """Return each row's entry from a step of its own, `sources` (B,)."""
    found: Aged | None = None
    for source in np.unique(sources):
        entry = steps[source]
        if entry is not None:
            values = np.where((sources == source)[:, None], entry.values, 0.0)
            # Ages of other rows alone, and of steps past a row's end, would grow beyond what a path can have.
            alive = values.any(axis=(1, 2))
            if alive.any():
                found = plus(found, Aged(entry.ages[alive], values[alive]))
    return found
