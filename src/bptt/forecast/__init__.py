"""Forecasting: the baselines that a model must beat, and how forecasts are scored."""

from bptt.forecast.baselines import (
    LeastSquares,
    Scores,
    fit_least_squares,
    least_squares,
    persistence,
    score,
    seasonal_naive,
)

__all__ = [
    "LeastSquares",
    "Scores",
    "fit_least_squares",
    "least_squares",
    "persistence",
    "score",
    "seasonal_naive",
]
