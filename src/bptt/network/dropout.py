"""Dropout masks from a counter: the same for every engine and any number of threads.

Elements are counted over (T, B, H): a row's mask depends on its place in the batch, not on what the others hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def dropout_mask(
    shape: tuple[int, ...], rate: float, *, seed: int, step: int, layer: int, dtype: Any
) -> Array:
    """Return a mask of 0 and 1 / (1 - rate).

    Parameters
    ----------
    shape : tuple of int
        (T, B, H).
    rate : float
        Probability of 0, in [0, 1).
    seed, step, layer : int
        The key. Element n of the mask depends on (seed, step, layer, n) and on nothing else.

    Notes
    -----
    A hash of the counter instead of a stream (the mixing function of SplitMix64; Steele, Lea and Flood 2014), so that
    a kernel can draw any element on its own.
    """
    with np.errstate(over="ignore"):
        key = _mix(_mix(_mix(np.uint64(seed & (2**64 - 1))) ^ np.uint64(step)) ^ np.uint64(layer))
        bits = _mix(key + _GOLDEN * np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64))
    # The upper 53 bits make a uniform number in [0, 1).
    uniform = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    kept: Array = (uniform >= rate).reshape(shape).astype(dtype)
    kept *= np.asarray(1.0 / (1.0 - rate), dtype)
    return kept


def _mix(z: Any) -> Any:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
