"""From a panel to a trained forecaster: networks, closed form, choices on validation, intervals."""
