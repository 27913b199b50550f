"""From states and windows to forecasts: closed forms by ridge regression, and the heads that they are solved for."""
