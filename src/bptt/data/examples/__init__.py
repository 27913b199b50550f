"""Examples for networks, drawn by index from one copy of the data: arrays, windows, sequences, stretches."""
