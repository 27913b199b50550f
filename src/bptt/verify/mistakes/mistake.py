"""What a hypothesis is: a name, a sentence, and the one change to the right rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mistake:
    """One usual mistake.

    Attributes
    ----------
    name : str
        Stable, for programs: ``"recurrent_not_transposed"``.
    says : str
        For a person; ``{W}``, ``{U}``, ``{V}``, ``{h}`` and ``{x}`` stand for the letters of the exercise.
    change : callable (rules) -> rules
        `Rules` for a backward pass; an exercise may have rules of its own for what comes before it.
    """

    name: str
    says: str
    change: Callable[[Any], Any]


def mistake(says: str) -> Callable[[Callable[[Any], Any]], Mistake]:
    """Make a `Mistake` of a function that changes the rules, named after it."""

    def make(change: Callable[[Any], Any]) -> Mistake:
        return Mistake(change.__name__, says, change)

    return make


def both(one: Mistake, other: Mistake) -> Mistake:
    """Return two mistakes made at once; where both change the same place, the second may replace the first."""
    return Mistake(
        f"{one.name}+{other.name}",
        f"two mistakes at once. First, {one.says}. Second, {other.says}",
        lambda rules: other.change(one.change(rules)),
    )
