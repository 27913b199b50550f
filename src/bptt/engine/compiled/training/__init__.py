"""Whole training steps as lists of kernel calls: gather, layers, readout, loss, clipping, update."""
