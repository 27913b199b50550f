"""Forecasts that every model must beat: no change, the last season, least squares on the window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array, check_whole
from bptt.data import Windows
from bptt.errors import DataError, InvalidInput

Array = npt.NDArray[Any]

# Numbers of a window matrix that are held at a time: 8 MiB of float64.
CHUNK_NUMBERS = 1 << 20
# Directions in which the windows vary less than this, relative to the strongest, are rounding: the squares of the
# window matrix are what is decomposed, so it stands for a relative 1e-6 in the windows themselves.
RELATIVE_CUTOFF = 1e-12


@dataclass(frozen=True)
class Scores:
    """Errors of a forecast, over all its examples and targets, in scaled units and in those of the target.

    Attributes
    ----------
    rmse, mae, mse : float
        In the units of the target (mse in their square).
    rmse_scaled, mae_scaled, mse_scaled : float
        In scaled units, as the network is trained.
    """

    rmse: float
    mae: float
    mse: float
    rmse_scaled: float
    mae_scaled: float
    mse_scaled: float


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """The linear forecast from the flattened window.

    Attributes
    ----------
    coefficients : ndarray float64 (T * D, K)
        Row ``t * D + d`` belongs to input d of step t.
    intercept : ndarray float64 (K,)
    """

    coefficients: Array
    intercept: Array

    def predict(self, windows: Windows) -> Array:
        """Return the forecast for every window, scaled, float64 (N, K)."""
        width = windows.length * len(windows.inputs)
        if self.coefficients.shape != (width, len(windows.targets)):
            raise InvalidInput(
                f"windows must have (T * D, K) = {self.coefficients.shape}. Got ({width}, {len(windows.targets)}): "
                "the forecast was fitted to windows of another length, or other inputs or targets"
            )
        parts = [flat @ self.coefficients + self.intercept for flat, _ in _chunks(windows)]
        return np.concatenate(parts)


def persistence(windows: Windows) -> Array:
    """Return the forecast "no change": the last target value seen, scaled, float64 (N, K)."""
    return windows.before_target(windows.horizon)


def seasonal_naive(windows: Windows, period: int = 24) -> Array:
    """Return the forecast "as one season ago": the value `period` rows before the target, scaled, float64 (N, K).

    Parameters
    ----------
    windows : Windows
    period : int
        Rows of a season, 24 for the day of hourly rows. For a horizon beyond it, the last season that is known at
        the time of the forecast is taken.

    Raises
    ------
    DataError
        If the season before the first target is not in the series.
    """
    season = check_whole("period", period)
    return windows.before_target(season * -(-windows.horizon // season))


def fit_least_squares(windows: Windows) -> LeastSquares:
    """Fit the linear forecast with intercept that has the least squared error on `windows`.

    The windows are read twice in chunks and never copied out whole. Directions in which they do not vary (a constant
    column, columns that repeat each other) get no weight.

    Parameters
    ----------
    windows : Windows
        Training windows.

    Notes
    -----
    Normal equations of the centred data in float64: ``coefficients = pinv(X'X) X'Y``. Centring and the scaling of the
    columns keep the squared condition number small (1.8e5 on the New York weather, 6.7e4 on Beijing).
    """
    count = len(windows)
    width, outputs = windows.length * len(windows.inputs), len(windows.targets)
    if count < 2:
        raise DataError(f"windows must hold at least 2 examples to be fitted. Got {count}")
    x_mean, y_mean = np.zeros(width), np.zeros(outputs)
    for flat, y in _chunks(windows):
        x_mean += flat.sum(axis=0)
        y_mean += y.sum(axis=0)
    x_mean /= count
    y_mean /= count
    squares, products = np.zeros((width, width)), np.zeros((width, outputs))
    for flat, y in _chunks(windows):
        centred = flat - x_mean
        squares += centred.T @ centred
        products += centred.T @ (y - y_mean)
    strengths, directions = np.linalg.eigh(squares)
    kept = strengths > RELATIVE_CUTOFF * strengths[-1]
    basis = directions[:, kept]
    coefficients = basis @ ((basis.T @ products) / strengths[kept, None])
    return LeastSquares(coefficients, y_mean - x_mean @ coefficients)


def least_squares(train: Windows, test: Windows) -> Array:
    """Return the least-squares forecast fitted to `train` for the windows of `test`, scaled, float64 (N, K)."""
    return fit_least_squares(train).predict(test)


def score(y: npt.ArrayLike, y_hat: npt.ArrayLike, deviation: npt.ArrayLike = 1.0) -> Scores:
    """Return the errors of a forecast.

    Parameters
    ----------
    y, y_hat : array_like (N, K)
        Truth and forecast, scaled.
    deviation : float or array_like (K,)
        What 1 in scaled units is in the unit of each target (`bptt.data.Scaler.deviation`).

    Raises
    ------
    InvalidInput
        Truth and forecast of different shapes, no examples, a deviation that is not positive.
    """
    truth = check_array("y", y, [("N", None), ("K", None)], dtype=np.dtype(np.float64))
    count, outputs = truth.shape
    forecast = check_array(
        "y_hat", y_hat, [("N", count), ("K", outputs)], dtype=np.dtype(np.float64), reason="y has this shape"
    )
    if not count or not outputs:
        raise InvalidInput(f"y must hold at least one value to be scored. Got shape {truth.shape}")
    scale = np.asarray(deviation, np.float64)
    if scale.shape not in ((), (outputs,)) or not bool((scale > 0).all()):
        raise InvalidInput(
            f"deviation must be one positive number, or K = {outputs} of them. Got {deviation!r}"
        )
    error = forecast - truth
    scaled, physical = _errors(error), _errors(error * scale)
    return Scores(*physical, *scaled)


def _errors(error: Array) -> tuple[float, float, float]:
    mse = float(np.mean(np.square(error)))
    return float(np.sqrt(mse)), float(np.mean(np.abs(error))), mse


def _chunks(windows: Windows) -> Iterator[tuple[Array, Array]]:
    """Yield (flattened windows (n, T * D), targets (n, K)) in float64, in order."""
    width = windows.length * len(windows.inputs)
    size = max(1, CHUNK_NUMBERS // width)
    for first in range(0, len(windows), size):
        part = windows.batch(np.arange(first, min(first + size, len(windows))))
        yield part.x.reshape(-1, width).astype(np.float64, copy=False), part.y.astype(np.float64, copy=False)
