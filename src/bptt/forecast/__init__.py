"""Forecasting: `Forecaster`, the baselines that a model must beat, and how forecasts are scored."""

from bptt.forecast.alignment import Alignment
from bptt.forecast.backtest import Backtest
from bptt.forecast.baselines import (
    LeastSquares,
    Scores,
    fit_least_squares,
    least_squares,
    persistence,
    score,
    seasonal_naive,
)
from bptt.forecast.forecaster import Forecaster
from bptt.forecast.reading import read_panel
from bptt.forecast.recipe import Recipe
from bptt.forecast.results import Forecast

__all__ = [
    "Alignment",
    "Backtest",
    "Forecast",
    "Forecaster",
    "LeastSquares",
    "Recipe",
    "Scores",
    "fit_least_squares",
    "least_squares",
    "persistence",
    "read_panel",
    "score",
    "seasonal_naive",
]
