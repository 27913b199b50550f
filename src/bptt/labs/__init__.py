"""The seeds' labs: each a short script over the public API."""
