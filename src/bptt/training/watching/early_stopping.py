"""Stopping where the validation loss no longer falls, and the weights of its lowest point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bptt.checks import Array, check_number, check_whole
from bptt.errors import InvalidType


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop; the best weights are put back however the run ends, but for an error.

    Parameters
    ----------
    patience : int
        Evaluations in a row without a better loss, after which training stops.
    min_change : float
        At least 0: a loss must be lower than the best by more than this to count as better.
    """

    patience: int = 10
    min_change: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "patience", check_whole("patience", self.patience))
        object.__setattr__(self, "min_change", check_number("min_change", self.min_change, least=0.0))


def get_early_stopping(value: object) -> EarlyStopping:
    """Return an EarlyStopping from itself or from a patience."""
    if isinstance(value, EarlyStopping):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return EarlyStopping(value)
    raise InvalidType(f"early_stopping must be a patience (evaluations) or an EarlyStopping. Got {value!r}")


@dataclass(frozen=True, eq=False)
class Best:
    """What was seen of the validation losses so far.

    Attributes
    ----------
    weights : dict of str to ndarray, or None
        Copies of the parameters at the last loss that was lower by more than `min_change`; None before the first
        evaluation.
    step : int or None
        Updates made then.
    lowest : float
        That loss; inf before the first evaluation.
    waited : int
        Evaluations since.
    seen : int
        Evaluations in all.
    """

    weights: dict[str, Array] | None = None
    step: int | None = None
    lowest: float = math.inf
    waited: int = 0
    seen: int = 0


class BestWeights:
    """Watches the validation losses of one run.

    Attributes
    ----------
    found : Best
        Replaced as a whole: an interrupt leaves the old one or the new one.
    """

    def __init__(self, rule: EarlyStopping) -> None:
        self.rule = rule
        self.found = Best()

    def see(self, loss: float, parameters: Mapping[str, Array], step: int) -> bool:
        """Take note of a finite loss after `step` updates; return whether to stop."""
        last = self.found
        if last.weights is None or loss < last.lowest - self.rule.min_change:
            copies = {name: p.copy() for name, p in parameters.items()}
            self.found = Best(copies, step, loss, 0, last.seen + 1)
        else:
            self.found = replace(last, waited=last.waited + 1, seen=last.seen + 1)
        return self.exhausted

    @property
    def exhausted(self) -> bool:
        """Whether the patience has come to its end."""
        return self.found.waited >= self.rule.patience
