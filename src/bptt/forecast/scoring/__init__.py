"""Baselines, metrics, and forecasts of what is known already: backtest and rehearsal."""
