"""What the doctor looks at: a sample and the answers to it, units, lags, the loss curve, a trial treatment."""
