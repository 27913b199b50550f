"""The sine assignment's data: sin(k), windows of 25 values, the 26th to be predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array

# The assignment's series sin(0)..sin(199), its windows, and how far the test goes on behind it.
SERIES, LENGTH, CONTINUED = 200, 25, 200


@dataclass(frozen=True, eq=False)
class SineData:
    """Windows of the assignment and of the continuation, float64.

    Attributes
    ----------
    x, y : ndarray (175, 25, 1) and (175, 1)
        The assignment's: window n holds sin(n)..sin(n + 24), its target is sin(n + 25).
    x_test, y_test : ndarray (200, 25, 1) and (200, 1)
        Targets sin(200)..sin(399): none was trained on. The first windows still end in the training series.
    """

    x: Array
    y: Array
    x_test: Array
    y_test: Array


def make_sine() -> SineData:
    """Return the data, which are the same for everybody: there is no noise and nothing random in them."""
    series = np.sin(np.arange(SERIES + CONTINUED))
    windows = np.lib.stride_tricks.sliding_window_view(series, LENGTH)[:-1, :, None]
    targets = series[LENGTH:, None]
    cut = SERIES - LENGTH
    return SineData(windows[:cut].copy(), targets[:cut].copy(), windows[cut:].copy(), targets[cut:].copy())


def rmse(predicted: Array, truth: Array) -> float:
    """Return the root mean squared error."""
    return float(np.sqrt(np.mean((np.asarray(predicted, np.float64) - truth) ** 2)))


@dataclass(frozen=True)
class Baselines:
    """What the task costs without a network: RMSE on the test windows.

    Attributes
    ----------
    zero, persistence : float
        Always 0; the last value again.
    least_squares, two_lags : float
        Linear in all 25 values, without a constant; in the last two alone.
    coefficients : (float, float)
        Of sin(k) and sin(k - 1) in the two-lag rule. sin(k + 1) = 2 cos(1) sin(k) - sin(k - 1) holds exactly.
    """

    zero: float
    persistence: float
    least_squares: float
    two_lags: float
    coefficients: tuple[float, float]


def measure_baselines(data: SineData) -> Baselines:
    """Fit on the training windows, measure on the test windows."""
    x, x_test = data.x[:, :, 0], data.x_test[:, :, 0]
    weights = [np.linalg.lstsq(x[:, -lags:], data.y, rcond=None)[0] for lags in (LENGTH, 2)]
    previous, last = weights[1][:, 0]
    return Baselines(
        zero=rmse(np.zeros_like(data.y_test), data.y_test),
        persistence=rmse(x_test[:, -1:], data.y_test),
        least_squares=rmse(x_test @ weights[0], data.y_test),
        two_lags=rmse(x_test[:, -2:] @ weights[1], data.y_test),
        coefficients=(float(last), float(previous)),
    )
