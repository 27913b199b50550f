"""Forecasting: `Forecaster`, the baselines that a model must beat, and how forecasts are scored."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bptt.forecast.each import fit_each
    from bptt.forecast.forecaster import Forecaster
    from bptt.forecast.predicting.alignment import Alignment
    from bptt.forecast.recipe import Recipe
    from bptt.forecast.results import Forecast
    from bptt.forecast.scoring.backtest_result import Backtest
    from bptt.forecast.scoring.baselines import (
        LeastSquares,
        Scores,
        fit_least_squares,
        least_squares,
        persistence,
        score,
        seasonal_naive,
    )
    from bptt.forecast.tables.reading import read_panel

__all__ = [
    "Alignment",
    "Backtest",
    "Forecast",
    "Forecaster",
    "LeastSquares",
    "Recipe",
    "Scores",
    "fit_each",
    "fit_least_squares",
    "least_squares",
    "persistence",
    "read_panel",
    "score",
    "seasonal_naive",
]

# Where each public name lives. Loaded when first asked for: a lab, or a file of a network, needs one or two of them.
_HOMES = {
    "Alignment": "predicting.alignment",
    "Backtest": "scoring.backtest_result",
    "Forecast": "results",
    "Forecaster": "forecaster",
    "LeastSquares": "scoring.baselines",
    "Recipe": "recipe",
    "Scores": "scoring.baselines",
    "fit_each": "each",
    "fit_least_squares": "scoring.baselines",
    "least_squares": "scoring.baselines",
    "persistence": "scoring.baselines",
    "read_panel": "tables.reading",
    "score": "scoring.baselines",
    "seasonal_naive": "scoring.baselines",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"bptt.forecast.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'bptt.forecast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
