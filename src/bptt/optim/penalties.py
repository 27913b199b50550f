"""Penalties on the size of parameters, added to the loss and to the gradients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bptt.activations import step
from bptt.checks import Array, check_number
from bptt.configs import Configured, from_config
from bptt.formulas import Formula
from bptt.optim.selection import WEIGHTS, check_pattern, selected


@Formula
def absolute(p: Any, strength: Any) -> Any:
    """Strength times the magnitude; slope 0 at 0."""
    sign = step(p) - step(-p)
    value = strength * p * sign
    dp = strength * sign
    return value, dp


@Formula
def half_square(p: Any, strength: Any) -> Any:
    """Strength times half the square."""
    dp = strength * p
    value = 0.5 * dp * p
    return value, dp


@dataclass(frozen=True)
class Penalty(Configured):
    """A term of the loss that depends on the parameters alone.

    Parameters
    ----------
    strength : float
        At least 0.
    pattern : str
        Which parameters, by their whole name or its last part, with * and ? as in file names. The default takes
        the weight matrices of every layer, the readout and the linear path, but no bias, peephole or initial
        state: a bias that is held near 0 only shifts the result.
    """

    strength: float
    pattern: str = WEIGHTS

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", check_number("strength", self.strength, least=0))
        check_pattern(self.pattern)

    def value(self, parameters: Mapping[str, Array]) -> Any:
        """Return the penalty as a float; complex where a parameter is, for the complex-step check.

        Raises
        ------
        InvalidInput
            The pattern fits no parameter.
        """
        return sum(self._term(parameters[name])[0] for name in selected(self.pattern, parameters))

    def add(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> Any:
        """Add the penalty's gradient to `gradients`, in place, and return its value.

        Raises
        ------
        InvalidInput
            The pattern fits no parameter.
        """
        total: Any = 0.0
        for name in selected(self.pattern, parameters):
            value, dp = self._term(parameters[name])
            gradients[name][...] += dp
            total += value
        return total

    def _term(self, p: Array) -> tuple[Any, Array]:
        with np.errstate(over="ignore", invalid="ignore"):
            values, dp = self.formula(p, p.real.dtype.type(self.strength))
            return np.sum(values, dtype=np.result_type(values.dtype, np.float64)).item(), dp

    @property
    @abstractmethod
    def formula(self) -> Formula:
        """(p, strength) -> (value, dp)."""


@dataclass(frozen=True)
class L1(Penalty):
    """strength sum abs(p): pulls every weight towards 0 by the same amount; its slope at 0 is taken as 0."""

    kind: ClassVar[str] = "l1"

    @property
    def formula(self) -> Formula:
        """(p, strength) -> (value, dp)."""
        return absolute


@dataclass(frozen=True)
class L2(Penalty):
    """strength / 2 sum p^2, whose gradient is strength p.

    Notes
    -----
    With SGD the same as PyTorch's ``weight_decay=strength``. Keras' ``l2(s)`` leaves out the half: strength = 2 s.
    With Adam it is not the same as decoupled decay, for which there is `AdamW`.
    """

    kind: ClassVar[str] = "l2"

    @property
    def formula(self) -> Formula:
        """(p, strength) -> (value, dp)."""
        return half_square


PENALTIES: dict[str, type[Penalty]] = {made.kind: made for made in (L1, L2)}


def penalty_from_config(config: Mapping[str, object]) -> Penalty:
    """Return the penalty that `Penalty.to_config` wrote."""
    return from_config("penalty", config, PENALTIES)
