"""Diseases, one a file: when a training has it, where it shows, and what helps."""
