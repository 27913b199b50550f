"""Clipping: gradients held to a size before the update."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bptt.activations import step
from bptt.checks import Array, check_number
from bptt.configs import Configured, from_config
from bptt.formulas import Formula
from bptt.optim.norms import global_norm, largest_magnitude


@Formula
def shrink(g: Any, largest: Any, factor: Any) -> Any:
    """First to a magnitude of at most 1, then to size: neither number leaves float32 though the norm may."""
    clipped = g / largest * factor
    return clipped  # noqa: RET504  # a formula returns names


@Formula
def limit_each(g: Any, limit: Any) -> Any:
    """Within -limit..limit, the rest as it is."""
    over = step(g - limit)
    under = step(-g - limit)
    clipped = g * (1 - over - under) + limit * (over - under)
    return clipped  # noqa: RET504  # a formula returns names


@dataclass(frozen=True)
class Clipping(Configured):
    """Called on the gradients, in place; returns their global norm as it was before."""

    @abstractmethod
    def __call__(self, gradients: Mapping[str, Array]) -> float:
        """Clip `gradients` in place and return their global norm before that."""


@dataclass(frozen=True)
class ClipNorm(Clipping):
    """All gradients scaled together so that their global norm is at most `max_norm`: the direction stays.

    Parameters
    ----------
    max_norm : float
        Above 0.

    Notes
    -----
    g is multiplied by max_norm / norm where norm > max_norm, and left untouched otherwise. Where the norm is NaN
    or inf nothing is changed: the returned number tells. PyTorch divides by norm + 1e-6 instead.

    References
    ----------
    Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks", algorithm 1,
    arXiv:1211.5063.
    """

    max_norm: float
    kind: ClassVar[str] = "clip_norm"

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_norm", check_number("max_norm", self.max_norm, above=0))

    def __call__(self, gradients: Mapping[str, Array]) -> float:
        """Clip `gradients` in place and return their global norm before that."""
        size = global_norm(gradients)
        if size > self.max_norm and math.isfinite(size):
            largest = largest_magnitude(gradients)
            factor = self.max_norm / (size / largest)
            for g in gradients.values():
                (g[...],) = shrink(g, g.dtype.type(largest), g.dtype.type(factor))
        return size


@dataclass(frozen=True)
class ClipValue(Clipping):
    """Each entry held within -limit..limit: the direction may change.

    Parameters
    ----------
    limit : float
        Above 0.

    Notes
    -----
    An entry that is inf or NaN becomes NaN and so stays visible; PyTorch would make inf the limit.
    """

    limit: float
    kind: ClassVar[str] = "clip_value"

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", check_number("limit", self.limit, above=0))

    def __call__(self, gradients: Mapping[str, Array]) -> float:
        """Clip `gradients` in place and return their global norm before that."""
        size = global_norm(gradients)
        with np.errstate(invalid="ignore", over="ignore"):
            for g in gradients.values():
                (g[...],) = limit_each(g, g.dtype.type(self.limit))
        return size


CLIPPINGS: dict[str, type[Clipping]] = {made.kind: made for made in (ClipNorm, ClipValue)}


def clipping_from_config(config: Mapping[str, object]) -> Clipping:
    """Return the clipping that `Clipping.to_config` wrote."""
    return from_config("clipping", config, CLIPPINGS)
