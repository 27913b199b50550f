"""Randomised runs, healthy and ill, that `bptt.diagnose` is judged by: `python -m benchmarks.doctor`."""
