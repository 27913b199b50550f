"""Fixed structure in the recurrent weights: missing connections, and units of one sign (Dale's law)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.activations import relu, relu_derivative
from bptt.checks import Array, check_array
from bptt.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class RecurrentConstraint:
    """What stands between the trained recurrent weights and those that the equations use.

    Parameters
    ----------
    mask : ndarray (H, H), optional
        0 where there is no connection from row to column, 1 where there is; the same for every gate.
    signs : ndarray (H,), optional
        +1 or -1 a unit: all its outgoing weights have that sign, W = sign * relu(W_trained)
        (Song, Yang and Wang 2016, "Training excitatory-inhibitory recurrent neural networks", eq. 10).
    """

    mask: Array | None
    signs: Array | None

    @classmethod
    def make(cls, mask: object, signs: object, H: int) -> RecurrentConstraint | None:
        """Check and return a constraint, or None where there is nothing to constrain."""
        if mask is None and signs is None:
            return None
        checked_mask = checked_signs = None
        if mask is not None:
            checked_mask = check_array("mask", mask, [("H", H), ("H", H)]).astype(np.float64)
            if not np.isin(checked_mask, (0.0, 1.0)).all():
                raise InvalidInput(
                    "mask must hold only 0 (no connection) and 1 (a connection). Got other numbers"
                )
        if signs is not None:
            checked_signs = check_array("signs", signs, [("H", H)]).astype(np.float64)
            if not np.isin(checked_signs, (-1.0, 1.0)).all():
                raise InvalidInput("signs must hold only +1 (excites) and -1 (inhibits). Got other numbers")
        return cls(checked_mask, checked_signs)

    def effective(self, weight: Array) -> Array:
        """Return the weights (H, blocks * H) that the equations use."""
        used: Array = weight
        if self.signs is not None:
            used = self._signs(weight) * relu(weight)
        return used if self.mask is None else used * self._mask(weight)

    def start(self, weight: Array) -> Array:
        """Return starting weights that the constraint does not silence: their sizes, where signs are set."""
        return np.abs(weight) if self.signs is not None else weight

    def pull_back(self, weight: Array, d_effective: Array) -> Array:
        """Return the gradient with respect to the trained weights."""
        d = d_effective if self.mask is None else d_effective * self._mask(weight)
        return d if self.signs is None else d * self._signs(weight) * relu_derivative(weight)

    def _mask(self, weight: Array) -> Array:
        assert self.mask is not None
        return np.tile(self.mask, (1, weight.shape[1] // len(self.mask))).astype(weight.real.dtype)

    def _signs(self, weight: Array) -> Array:
        assert self.signs is not None
        return self.signs[:, None].astype(weight.real.dtype)

    def config(self) -> dict[str, Any]:
        """Return plain lists, for a model file."""
        return {
            "mask": None if self.mask is None else self.mask.astype(int).tolist(),
            "signs": None if self.signs is None else self.signs.astype(int).tolist(),
        }
