"""The sine lab's free run: the network lives on its own predictions for 200 steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.labs.sine.data import CONTINUED, SERIES, SineData, rmse
from bptt.network import Network

# The drift is told for stretches of this many steps.
STRETCH = 50
# 2 pi, nearly: the error goes up and down with the sine.
PERIOD = 6


@dataclass(frozen=True, eq=False)
class FreeRun:
    """A free run from the last 25 values of the training series.

    Attributes
    ----------
    values : ndarray (200,)
        In place of sin(200)..sin(399).
    errors : ndarray (200,)
        values - truth.
    rmse : tuple of float
        Of each 50 steps.
    amplitude : tuple of float
        Of the sine of the right frequency that fits each 50 steps best; the truth's is 1.
    phase : tuple of float
        Of that sine, radians ahead of the truth.
    """

    values: Array
    errors: Array
    rmse: tuple[float, ...]
    amplitude: tuple[float, ...]
    phase: tuple[float, ...]

    @property
    def recent(self) -> Array:
        """RMSE of the last 6 steps, about a period, at each step (200,); nan before there are 6."""
        squares = np.lib.stride_tricks.sliding_window_view(self.errors**2, PERIOD)
        return np.concatenate([np.full(PERIOD - 1, np.nan), np.sqrt(squares.mean(axis=1))])


def run_freely(net: Network, data: SineData) -> FreeRun:
    """Let the network's window slide over its own predictions."""
    values = net.generate(data.x_test[:1].astype(net.dtype), CONTINUED)[0, :, 0].astype(np.float64)
    truth = data.y_test[:, 0]
    stretches = [slice(begin, begin + STRETCH) for begin in range(0, CONTINUED, STRETCH)]
    fits = [fit_sine(np.arange(SERIES, SERIES + CONTINUED)[part], values[part]) for part in stretches]
    return FreeRun(
        values=values,
        errors=values - truth,
        rmse=tuple(rmse(values[part], truth[part]) for part in stretches),
        amplitude=tuple(amplitude for amplitude, _ in fits),
        phase=tuple(phase for _, phase in fits),
    )


def fit_sine(k: Array, values: Array) -> tuple[float, float]:
    """Return A and p of the A sin(k + p) nearest to the values, p in -pi..pi."""
    design = np.column_stack([np.sin(k), np.cos(k)])
    (a, b), *_ = np.linalg.lstsq(design, values, rcond=None)
    return float(np.hypot(a, b)), float(np.arctan2(b, a))
