"""Forecasts as arrays, and the names of their columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.forecast.tables.layout import PanelData
from bptt.forecast.tables.steps import advance
from bptt.forecast.tables.writing import write_forecast


@dataclass(frozen=True, eq=False)
class Forecast:
    """What comes after the last rows of some series.

    Attributes
    ----------
    ids : tuple of str
        S names.
    times : ndarray datetime64[s] (S, K)
    y_hat : ndarray float64 (S, K)
        In the unit of the target.
    levels : ndarray float64 (L,)
        Probabilities.
    quantiles : ndarray float64 (L, S, K)
        Increasing with the level.
    """

    ids: tuple[str, ...]
    times: Array
    y_hat: Array
    levels: Array
    quantiles: Array

    @property
    def horizon(self) -> int:
        """Rows ahead, K."""
        return int(self.y_hat.shape[1])


def interval_names(coverage: float) -> tuple[str, str]:
    """Return the names of the two bounds, as "lo_90" and "hi_90"."""
    percent = f"{100 * coverage:g}"
    return f"lo_{percent}", f"hi_{percent}"


def quantile_name(level: float) -> str:
    """Return the name of a quantile's column, as "q_10"."""
    return f"q_{100 * level:g}"


def times_ahead(time: np.datetime64, step: np.timedelta64, horizon: int) -> Array:
    """Return the times 1..horizon steps after one, datetime64[s] (K,)."""
    return np.asarray(advance(np.array([time]), horizon, step)).astype("datetime64[s]")


def as_table(forecast: Forecast, names: tuple[str, ...], data: PanelData | None) -> Any:
    """Return the forecast as a table of the kind that the history came as, its levels under these names.

    Without a table that it came from: a dict of the columns `unique_id`, `ds`, `y_hat` and the levels'.
    """
    values = {"y_hat": forecast.y_hat, **dict(zip(names, forecast.quantiles, strict=True))}
    if data is not None:
        return write_forecast(data, values)
    found = {
        "unique_id": np.repeat(np.array(forecast.ids, object), forecast.horizon),
        "ds": forecast.times.reshape(-1),
    }
    return found | {name: array.reshape(-1) for name, array in values.items()}
