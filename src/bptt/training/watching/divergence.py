"""A run that left the finite numbers: what was seen, the likeliest cause, and a remedy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.data.examples.batch import Batch
from bptt.errors import DivergedError
from bptt.training.watching.history import History

# A loss this many times the first one is no noise: from there on the weights are lost.
_RISEN = 10.0
# A gradient this many times the usual one, or the loss itself where there is no usual one yet, has exploded.
_OVER_USUAL = 100.0
_OVER_LOSS = 1000.0


class TrainingDivergedError(DivergedError):
    """Training met a loss or gradient that is not finite; the network keeps the last good weights.

    Attributes
    ----------
    step : int
        The update that was not made, counted from 0; for a validation loss, the one that was taken back.
    loss, gradient_norm : float
        What was found there; the norm is that before clipping.
    updates_kept : int
        Updates that the network's weights have seen.
    history : History
        The run so far: finite throughout, `stopped_because` is "diverged".
    """

    step: int
    loss: float
    gradient_norm: float
    updates_kept: int
    history: History


def diverged(
    found: str, cause: str, *, step: int, loss: float, gradient_norm: float, updates_kept: int
) -> TrainingDivergedError:
    """Return the error; its `history` is still to come."""
    error = TrainingDivergedError(
        f"loss and gradient must stay finite. Got {found} at step {step}: {cause}. "
        f"The network keeps its weights after {updates_kept} update{'' if updates_kept == 1 else 's'}"
    )
    error.step, error.loss, error.gradient_norm = step, loss, gradient_norm
    error.updates_kept = updates_kept
    return error


def likeliest_cause(
    losses: Sequence[float], norms: Sequence[float], learning_rate: float, *, clipped: bool
) -> str:
    """Return cause and remedy.

    Parameters
    ----------
    losses, norms : sequence of float
        Of every step, the one that failed last.
    learning_rate : float
        Of the last update made.
    clipped : bool
        Whether gradients are clipped.
    """
    lost = next((k for k, loss in enumerate(losses) if not loss <= _RISEN * losses[0]), None)
    if not math.isfinite(losses[0]):
        return "the starting weights already give it: scale inputs and targets, or start from smaller weights"
    # Where the loss was still sane, the gradient itself is to blame, else what came just before the loss rose.
    suspect = len(losses) - 1 if lost is None else lost - 1
    if _exploded(losses, norms, suspect):
        seen = f"the gradient exploded, to a norm of {norms[suspect]:.3g} at step {suspect}"
        if clipped:
            return f"{seen} before clipping: lower the learning rate {learning_rate:g} or the spectral radius of W_hh"
        return f"{seen}: clip it, clip=1.0 say"
    return f"the learning rate {learning_rate:g} is too large: try {learning_rate / 10:g} or less"


def _exploded(losses: Sequence[float], norms: Sequence[float], step: int) -> bool:
    size = norms[step]
    if not math.isfinite(size):
        return True
    if step and size > _OVER_USUAL * float(np.median(norms[:step])):
        return True
    return size > _OVER_LOSS * max(1.0, losses[step])


def first_not_finite(batch: Batch, indices: npt.ArrayLike) -> str | None:
    """Return the first input or target that counts and is not finite, in words; None where there is none."""
    x_counts = np.ones(batch.x.shape[:2], bool)
    y_counts = np.ones(len(batch), bool) if batch.weights is None else batch.weights > 0
    if batch.lengths is not None:
        x_counts = np.arange(batch.x.shape[1]) < batch.lengths[:, None]
        if batch.y.ndim == 3:
            y_counts = x_counts & (y_counts if y_counts.ndim == 2 else y_counts[:, None])
    for name, array, counts in (("x", batch.x, x_counts), ("y", batch.y, y_counts)):
        if array.dtype.kind != "f":
            continue
        place = _first(array, counts)
        if place is not None:
            example = int(np.asarray(indices)[place[0]])
            where = ", ".join(str(k) for k in (example, *place[1:]))
            return f"{name}[{where}] of the data is {array[place]}: fill it, or leave example {example} out"
    return None


def _first(array: Any, counts: Any) -> tuple[int, ...] | None:
    spread = counts.reshape(counts.shape + (1,) * (array.ndim - counts.ndim))
    found = np.argwhere(~np.isfinite(array) & spread)
    return tuple(int(k) for k in found[0]) if len(found) else None
