"""Softmax and cross-entropy in one, on class numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bptt.activations import exp, log
from bptt.checks import Array
from bptt.errors import InvalidInput, InvalidType
from bptt.formulas import Formula
from bptt.losses.loss import Loss


@Formula
def numerator(y_hat: Any, top: Any) -> Any:
    """For every class k of a row; `top` is the row's largest logit."""
    raised = exp(y_hat - top)
    return raised  # noqa: RET504  # a formula returns names


@Formula
def row_loss(total: Any, chosen: Any, top: Any) -> Any:
    """Once a row; `total` is the sum of its numerators, `chosen` the logit of the true class."""
    loss = log(total) - (chosen - top)
    return loss  # noqa: RET504  # a formula returns names


@Formula
def slope(raised: Any, total: Any, truth: Any) -> Any:
    """For every class k; `truth` is 1 for the true class and 0 elsewhere."""
    dy_hat = raised / total - truth
    return dy_hat  # noqa: RET504  # a formula returns names


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy of softmax(y_hat) against class numbers.

    Notes
    -----
    y_hat (B, K) or (B, T, K) are logits: no softmax before. y (B,) or (B, T) holds integers 0..K-1. With
    p_k = exp(y_hat_k) / sum_j exp(y_hat_j), ::

        l = -log p_y = log sum_j exp(y_hat_j - m) - (y_hat_y - m),    m = max_j y_hat_j
        dl/dy_hat_k = p_k - [k = y]

    m moves all logits to 0 or below, so nothing overflows; it is taken on the real part, and the result
    does not depend on it. A row's loss is not divided by K. Where the weight is 0, y may hold any integer,
    -100 say.
    """

    kind: ClassVar[str] = "cross_entropy"
    class_targets: ClassVar[bool] = True
    outputs_are: ClassVar[str] = "plain scores"

    def target_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of y: that of y_hat without the axis of classes."""
        return tuple(shape[:-1])

    def _outputs(self, outputs: int) -> int:  # noqa: ARG002  # the classes of a row make one loss, not a mean of K
        return 1

    def _check_targets(self, y: npt.ArrayLike, y_hat: Array) -> Array:
        classes = y_hat.shape[-1]
        if classes < 2:
            raise InvalidInput(
                f"y_hat must have at least 2 outputs for cross-entropy, one a class. Got K = {classes}"
            )
        found = np.asarray(y)
        rows = y_hat.shape[:-1]
        if found.shape != rows:
            symbols = "(B,)" if len(rows) == 1 else "(B, T)"
            hint = (
                ": class numbers (y.argmax(-1)); SoftCrossEntropy takes rows"
                if found.shape == y_hat.shape
                else ""
            )
            raise InvalidInput(f"y must have shape {symbols} = {rows}. Got {found.shape}{hint}")
        if found.dtype.kind not in "iu":
            raise InvalidType(
                f"y must hold class numbers, integers 0..K-1 = 0..{classes - 1}. Got dtype {found.dtype}: "
                "y.astype(int) if they are whole"
            )
        return found

    def _rows(self, y_hat: Array, y: Array) -> tuple[Array, Array]:
        classes = y_hat.shape[-1]
        check_labels(y, classes)
        label = y.astype(np.intp)[..., None]
        top = y_hat.real.max(axis=-1, keepdims=True)
        (numerators,) = numerator(y_hat, top)
        # Added from left to right, the one order that a loop over lanes can repeat to the bit.
        total = np.add.accumulate(numerators, axis=-1)[..., -1:]
        (losses,) = row_loss(total, np.take_along_axis(y_hat, label, axis=-1), top)
        truth = (np.arange(classes) == label).astype(top.dtype)
        (slopes,) = slope(numerators, total, truth)
        return losses[..., 0].astype(np.result_type(losses.dtype, np.float64)), slopes


def check_labels(y: Array, classes: int) -> None:
    """Raise InvalidInput where y holds a number outside 0..classes-1."""
    wrong = np.argwhere((y < 0) | (y >= classes))
    if wrong.size:
        place = tuple(int(i) for i in wrong[0])
        raise InvalidInput(
            f"y must hold class numbers 0..K-1 = 0..{classes - 1}. Got {y[place]} at {list(place)}: "
            "give it weight 0 if it is not to count"
        )
