"""From a panel to a trained forecaster: `fit` says in which order all else happens."""
