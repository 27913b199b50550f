"""The lecture's data: a sine on -10..10 in steps of 0.1 with noise, and what the trained network is applied to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array

NOISE = 0.1
# Half the noise's variance: what a fit of the sine itself would leave.
FLOOR = NOISE**2 / 2


@dataclass(frozen=True, eq=False)
class NoisySine:
    """One sequence.

    Attributes
    ----------
    x, y, clean : ndarray (200, 1)
        The lecture's X_t and Y_t, and the sine without its noise.
    """

    x: Array
    y: Array
    clean: Array


def make_series(seed: int) -> NoisySine:
    """Return the lecture's series with the noise of this seed."""
    x = np.arange(-10, 10, 0.1)[:, None]
    # A stream of its own: the same seed also draws weights.
    noise = np.random.default_rng([seed, 2]).standard_normal(x.shape)
    return NoisySine(x, np.sin(x) + NOISE * noise, np.sin(x))


def new_series() -> dict[str, Array]:
    """Return the lecture's other series, and three that change one thing at a time; each (n, 1), by what it is."""
    return {
        "lecture": np.arange(0, 20, 0.3)[:, None],
        "start": np.arange(0, 10, 0.1)[:, None],
        "spacing": np.arange(-10, 10, 0.3)[:, None],
        "range": np.arange(-10, 20, 0.1)[:, None],
    }


def msse(predicted: Array, truth: Array) -> float:
    """Return half the mean squared error: the lecture's MSSE, divided by T once."""
    return float(0.5 * np.mean((np.asarray(predicted, np.float64) - truth) ** 2))
