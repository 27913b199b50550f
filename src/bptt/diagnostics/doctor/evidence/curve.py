"""The loss over the run, in blocks of steps, so that the noise of single batches is averaged out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bptt.checks import Array
from bptt.training.watching.history import History

_BLOCKS = 20
# Losses whose median is no single batch's chance.
_IN_A_ROW = 9


@dataclass(frozen=True, eq=False)
class Curve:
    """A loss curve.

    Attributes
    ----------
    blocks : ndarray (N,)
        Mean loss of each of up to 20 blocks of steps.
    first : float
        The first loss, before anything was learnt, or lost.
    peak : float
        The largest median of 9 losses in a row.
    roughness : float
        Of the second half: mean change of the loss from step to step, over its mean.
    """

    blocks: Array
    first: float
    peak: float
    roughness: float

    @property
    def last(self) -> float:
        """Mean of the last two blocks."""
        return float(self.blocks[-2:].mean())

    def fell(self, since: float) -> float:
        """Return the share of its value by which the loss fell from a point of the run (0..1) to its end."""
        k = min(int(since * len(self.blocks)), len(self.blocks) - 1)
        return float(1.0 - self.blocks[-1] / self.blocks[k]) if self.blocks[k] > 0 else 0.0


def usual(losses: Array) -> Array:
    """Return the median of each loss and the eight after it (N - 8,), of fewer than 9 the largest alone."""
    if losses.size < _IN_A_ROW:
        return np.asarray(losses.max(keepdims=True))
    return np.asarray(np.median(sliding_window_view(losses, _IN_A_ROW), axis=1))


def look_at_curve(history: History) -> Curve | None:
    """Return the curve; None of a run of fewer than 4 steps."""
    losses = history.losses
    if losses.size < 4:
        return None
    blocks = np.array([block.mean() for block in np.array_split(losses, min(_BLOCKS, losses.size // 2))])
    half = losses[losses.size // 2 :]
    level = float(half.mean())
    rough = float(np.abs(np.diff(half)).mean()) / level if level > 0 else 0.0
    return Curve(blocks, float(losses[0]), float(usual(losses).max()), rough)
