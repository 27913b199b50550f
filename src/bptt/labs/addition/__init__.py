"""The addition of digits. `lab.py` is the experiment; the others are its parts, verdicts and page."""
