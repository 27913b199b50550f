"""Euclidean norms that neither overflow nor underflow on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bptt.checks import Array

# Sums of squares in this range lost nothing: no square overflowed, and what underflowed was 1e-20 of the rest.
SAFE = (1e-280, 1e280)
# Sums kept side by side, as a loop over lanes keeps them: the compiled engine's norm has the same bits.
LANES = 64


def norm(array: Array) -> float:
    """Return the Euclidean norm of all entries of one array; see `global_norm`."""
    return global_norm({"": array})


def norms(arrays: Mapping[str, Array]) -> dict[str, float]:
    """Return the norm of each array by name."""
    return {name: norm(array) for name, array in arrays.items()}


def global_norm(arrays: Mapping[str, Array]) -> float:
    """Return the Euclidean norm of all entries of all arrays together.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Gradients, say; any shapes and dtypes.

    Returns
    -------
    float
        0 where there is nothing. NaN where an entry is, else inf where an entry is: never hidden.

    Notes
    -----
    sqrt(sum a^2) in float64; where the sum leaves the safe range, m sqrt(sum (a/m)^2) with m the largest magnitude.
    So a float32 gradient with entries of 1e22, whose squares overflow float32, has the norm that it has. The
    result is inf only where the norm itself is beyond 1.8e308.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        total = _total(arrays, 1.0)
        if SAFE[0] < total < SAFE[1]:
            return math.sqrt(total)
        largest = largest_magnitude(arrays)
        if largest == 0 or not math.isfinite(largest):
            return largest
        return largest * math.sqrt(_total(arrays, largest))


def largest_magnitude(arrays: Mapping[str, Array]) -> float:
    """Return the largest absolute value of all entries; 0 where there is none, NaN where an entry is NaN."""
    found = [np.max(np.abs(array)) for array in arrays.values() if array.size]
    return float(np.max(found)) if found else 0.0


def _total(arrays: Mapping[str, Array], unit: float) -> float:
    """Return the sum of all squares, one array after the other: the built-in sum would correct its rounding."""
    total = 0.0
    for array in arrays.values():
        total += _squares(array, unit)
    return total


def _squares(array: Array, unit: float) -> float:
    """Return the sum of the squared magnitudes in `unit`, in float64: `LANES` sums, then added by halves."""
    size = np.abs(array) if np.iscomplexobj(array) else array
    scaled = size if unit == 1 else np.divide(size, unit, dtype=np.float64)
    squares = np.square(scaled, dtype=np.float64).ravel()
    whole = squares.size - squares.size % LANES
    lanes = squares[:whole].reshape(-1, LANES).sum(axis=0)
    lanes[: squares.size - whole] += squares[whole:]
    while lanes.size > 1:
        lanes = lanes[: lanes.size // 2] + lanes[lanes.size // 2 :]
    return float(lanes[0])
