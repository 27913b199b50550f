"""What a trained forecaster does with rows: follows them, forecasts, and proves what it sees."""
