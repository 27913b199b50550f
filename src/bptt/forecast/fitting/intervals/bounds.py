"""What calibration leaves: by it, how far above and below a forecast its bounds lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array

# The probabilities whose quantiles are kept; between them they are interpolated.
LEVELS = np.round(np.arange(1, 200) / 200, 3)


@dataclass(frozen=True, eq=False)
class Intervals:
    """Calibrated intervals.

    Attributes
    ----------
    weights : ndarray float64 (G, K)
        Of the log-size of an error, on the features of `moments.moment`.
    quantiles : ndarray float64 (Q, K)
        Of the errors divided by their size, at `LEVELS`; increasing.
    floor : ndarray float64 (2,)
        Added to the unrest before its logarithm is taken.
    rows : int
        Held-out forecasts that they come from.
    there : bool
        Whether they were asked for; else all bounds are NaN.
    """

    weights: Array
    quantiles: Array
    floor: Array
    rows: int
    there: bool = True

    @classmethod
    def none(cls, features: int, horizon: int) -> Intervals:
        """Return what stands for intervals where none were asked for."""
        return cls(
            np.zeros((features, horizon)), np.zeros((len(LEVELS), horizon)), np.ones(2), 0, there=False
        )

    def offsets(self, features: Array, levels: Array, *, around: bool = False) -> Array:
        """Return what to add to forecasts (n, K) for each of these levels, (L, n, K), scaled; increasing in level.

        With `around` they are the bounds of intervals, which hold the forecast itself: no lower one above 0, no upper
        one below.
        """
        if not self.there:
            return np.full((len(levels), len(features), self.weights.shape[1]), np.nan)
        size = np.exp(features @ self.weights)
        wanted = np.clip(levels, LEVELS[0], LEVELS[-1])
        at = np.stack([np.interp(wanted, LEVELS, column) for column in self.quantiles.T], axis=1)
        found: Array = at[:, None, :] * size
        if around:
            below = (levels < 0.5)[:, None, None]
            found = np.where(below, np.minimum(found, 0.0), np.maximum(found, 0.0))
        return found
