"""Stopping where the validation loss no longer falls, and the weights of its lowest point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

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


class BestWeights:
    """Watches the validation losses of one run.

    Attributes
    ----------
    weights : dict of str to ndarray, or None
        Copies of the parameters at the last loss that was lower by more than `min_change`; None before the first
        evaluation.
    step : int or None
        Updates made then.
    """

    def __init__(self, rule: EarlyStopping) -> None:
        self.rule = rule
        self.lowest = math.inf
        self.waited = 0
        self.weights: dict[str, Array] | None = None
        self.step: int | None = None

    def see(self, loss: float, parameters: Mapping[str, Array], step: int) -> bool:
        """Take note of a finite loss after `step` updates; return whether to stop."""
        if self.weights is None or loss < self.lowest - self.rule.min_change:
            # One assignment of a finished copy: an interrupt leaves the old one or the new one.
            self.weights = {name: p.copy() for name, p in parameters.items()}
            self.lowest, self.waited, self.step = loss, 0, step
            return False
        self.waited += 1
        return self.waited >= self.rule.patience
