"""Sequences in which some targets are missing, or count for less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from bptt.data.examples.batch import Array, Batch, Indices, check_indices
from bptt.data.examples.sequences import Sequences


class PartlySeen:
    """Sequences whose steps count by a weight of each row; those of which nothing counts are left out.

    Parameters
    ----------
    sequences : Sequences
    weights : ndarray (N,)
        Of the rows whose targets they are: how much of the targets was seen.

    Attributes
    ----------
    starts : ndarray of int
        First row of each example.
    """

    def __init__(self, sequences: Sequences, weights: Array) -> None:
        self.sequences = sequences
        counted = np.cumsum(np.concatenate([[0.0], weights]))
        first, last = sequences.starts + sequences.warmup, sequences.starts + sequences.length
        self.kept: Indices = np.flatnonzero(counted[last] - counted[first] > 0)
        self.starts: Indices = sequences.starts[self.kept]
        self._blocks = sliding_window_view(weights.astype(sequences.dtype), sequences.length)

    def __len__(self) -> int:
        return len(self.kept)

    def batch(self, indices: npt.ArrayLike) -> Batch:
        """Return the examples with these indices, steps without a target at weight 0."""
        chosen = check_indices(indices, len(self))
        return replace(self.sequences.batch(self.kept[chosen]), weights=self.weights_of(chosen))

    def weights_of(self, indices: Indices) -> Array:
        """Return the weights of the steps of these examples, (B, T)."""
        found: Array = self.sequences.step_weights * self._blocks[self.starts[indices]]
        return found
