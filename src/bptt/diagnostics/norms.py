"""Norms of gradients that have all but vanished: no square underflows."""

from __future__ import annotations

import numpy as np

from bptt.checks import Array


def last_axis_norm(array: Array) -> Array:
    """Return the Euclidean norm over the last axis, right from 1e-308 to 1e308."""
    largest = np.abs(array).max(axis=-1, initial=0.0)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    return np.asarray(scale * np.linalg.norm(array / scale[..., None], axis=-1))


def log_ratio(now: Array, then: Array) -> Array:
    """Return log(now / then); 0 where there was nothing, -inf where nothing is left, nan where one is nan."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(then == 0, 0.0, np.log(now) - np.log(then))
