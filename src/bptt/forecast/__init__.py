"""Forecasting: `Forecaster`, the baselines that a model must beat, and how forecasts are scored."""

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
