"""How far forecasts miss: intervals from the errors on held-out rows."""
