"""What a run looked at on its way, as a frozen record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.brief import brief
from bptt.checks import Array

# The names that `train(record=)` takes; those of the numbers, and that of the weights.
NUMBERS = ("gradient_norms", "weight_norms", "spectral_radius")
KINDS = (*NUMBERS, "snapshots")


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a run looked at: row r of everything was seen after ``steps[r]`` updates.

    Attributes
    ----------
    steps : ndarray of int (R,)
        Updates made before each look: 0, every, 2 every, ..., and the last one planned.
    gradient_norms : dict of parameter name to ndarray (R,)
        Norm of each parameter's gradient, without penalties and clipping, on the same examples at every look: up to
        32, evenly spaced in the training data, from a fresh state. Empty where not asked for, as are the others.
    weight_norms : dict of parameter name to ndarray (R,)
    spectral_radius : dict of str to ndarray (R,)
        Largest absolute eigenvalue of each recurrent matrix: ``"layers.0.W_hh"``, with several gates a block each,
        ``"layers.0.W_hh[f]"``.
    snapshots : tuple of dict of parameter name to ndarray
        Read-only copies of all parameters, one a look.
    """

    steps: npt.NDArray[np.int64]
    gradient_norms: dict[str, Array]
    weight_norms: dict[str, Array]
    spectral_radius: dict[str, Array]
    snapshots: tuple[dict[str, Array], ...]

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the snapshots as plain JSON values."""
        found: dict[str, Any] = {"steps": self.steps.tolist()}
        for kind in NUMBERS:
            series: dict[str, Array] = getattr(self, kind)
            if series:
                found[kind] = {name: values.tolist() for name, values in series.items()}
        return found
