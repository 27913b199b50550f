"""Softmax and cross-entropy in one, on target vectors: probabilities, soft labels, one-hot rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bptt.activations import log
from bptt.checks import Array, check_array
from bptt.errors import InvalidInput
from bptt.losses.cross_entropy import numerator
from bptt.losses.loss import Loss

# A row of K float32 numbers that were divided by their sum is within this of 1.
NEARLY = 1e-4


@dataclass(frozen=True)
class SoftCrossEntropy(Loss):
    """Cross-entropy of softmax(y_hat) against probabilities, as the notes on forecasting print it.

    Notes
    -----
    y_hat (B, K) or (B, T, K) are logits: no softmax before. y of the same shape holds a probability for each class; a
    row adds up to 1. With p = softmax(y_hat), ::

        l = -sum_k y_k log p_k,    dl/dy_hat_k = p_k sum_j y_j - y_k = p_k - y_k

    A row of zeros is allowed and has no loss: nothing is due there, as in the digit assignment. (It counts in the mean
    over time all the same; weight 0 takes it out.) On one-hot rows this is `CrossEntropy` on their class numbers, which
    is faster: it is part of the compiled training step, this is not.
    """

    kind: ClassVar[str] = "soft_cross_entropy"
    probability_targets: ClassVar[bool] = True
    outputs_are: ClassVar[str] = "plain scores"

    def _outputs(self, outputs: int) -> int:  # noqa: ARG002  # the classes of a row make one loss, not a mean of K
        return 1

    def _check_targets(self, y: npt.ArrayLike, y_hat: Array) -> Array:
        *rows, classes = y_hat.shape
        if classes < 2:
            raise InvalidInput(
                f"y_hat must have at least 2 outputs for cross-entropy, one a class. Got K = {classes}"
            )
        hint = "a probability for each class"
        if np.shape(y) == tuple(rows):
            hint += "; for class numbers take CrossEntropy"
        axes = [*zip("BT", rows, strict=False), ("K", classes)]
        return check_array("y", y, axes, dtype=y_hat.dtype, reason=hint)

    def _rows(self, y_hat: Array, y: Array) -> tuple[Array, Array]:
        check_probabilities(y)
        top = y_hat.real.max(axis=-1, keepdims=True)
        (numerators,) = numerator(y_hat, top)
        total = numerators.sum(axis=-1, keepdims=True)
        mass = y.sum(axis=-1, keepdims=True)
        # -sum y log p, with log p = (y_hat - top) - log total. A class with y = 0 adds nothing, however unlikely.
        logs = np.where(y == 0, y_hat.dtype.type(0), y_hat - top)
        losses = mass[..., 0] * log(total)[..., 0] - (y * logs).sum(axis=-1)
        return losses.astype(np.result_type(losses.dtype, np.float64)), numerators / total * mass - y


def check_probabilities(y: Array) -> None:
    """Raise InvalidInput where a row of y is neither a distribution nor zero."""
    values = y.real
    wrong = np.argwhere(~(values >= 0))
    if wrong.size:
        place = tuple(int(i) for i in wrong[0])
        raise InvalidInput(
            f"y must hold probabilities of at least 0. Got {values[place]:g} at {list(place)}: "
            "give the row weight 0 if it is not to count"
        )
    mass = values.sum(axis=-1, dtype=np.float64)
    wrong = np.argwhere((np.abs(mass - 1) > NEARLY) & (mass != 0))
    if wrong.size:
        place = tuple(int(i) for i in wrong[0])
        raise InvalidInput(
            f"y must hold rows that add up to 1 (or are all 0: nothing due). Got {mass[place]:g} in row {list(place)}"
        )
