"""How good the Forecaster's defaults are on public data, by the protocols that others report."""
