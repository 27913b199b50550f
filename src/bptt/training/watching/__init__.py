"""What watches a run and what it leaves: callbacks, the progress bar, logs, records, early stopping, divergence."""
