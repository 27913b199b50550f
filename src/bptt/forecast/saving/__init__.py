"""A forecaster as a file and in words."""
