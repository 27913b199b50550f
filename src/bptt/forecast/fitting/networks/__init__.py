"""Recurrent networks trained from a seed, each on long stretches of all lines, and what is kept of their training."""
