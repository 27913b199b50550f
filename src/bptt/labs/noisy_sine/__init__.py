"""The lecture's noisy sine wave. `lab.py` is the experiment; the others are its parts, verdicts and page."""
