"""The negative log-likelihood of a normal distribution whose mean and variance are both predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bptt.activations import exp
from bptt.checks import Array, check_array
from bptt.errors import InvalidInput
from bptt.formulas import Formula
from bptt.losses.loss import Loss, row_sums


@Formula
def gaussian(mean: Any, log_variance: Any, y: Any) -> Any:
    """Half of log variance, squared error over variance, and log 2 pi."""
    error = mean - y
    precision = exp(-log_variance)
    slope = error * precision
    square = error * slope
    loss = 0.5 * (log_variance + square) + 0.9189385332046727
    dlog_variance = 0.5 - 0.5 * square
    return loss, slope, dlog_variance


@dataclass(frozen=True)
class Gaussian(Loss):
    """Negative log-likelihood of a normal distribution, in nats: a network says how sure it is.

    Notes
    -----
    For M targets, the columns of y, there are K = 2 M outputs: output 2 m is the mean mu of target m and output 2 m + 1
    the logarithm s of its variance, so ``y_hat.reshape(*y.shape, 2)`` puts the two on an axis of their own, and
    ``np.exp(s / 2)`` is the standard deviation. With e = mu - y, ::

        l = (s + e^2 exp(-s) + log 2 pi) / 2,    dl/dmu = e exp(-s),    dl/ds = (1 - e^2 exp(-s)) / 2

    The mean is over the M targets. The logarithm keeps the variance above 0 without a bound. A step of training is made
    layer by layer: the compiled step joins losses of one output and one target only.

    References
    ----------
    Nix and Weigend 1994, "Estimating the mean and variance of the target probability distribution",
    doi 10.1109/ICNN.1994.374138.
    """

    kind: ClassVar[str] = "gaussian"
    outputs_are: ClassVar[str] = "means and log-variances"

    def target_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of y: one column for every two outputs."""
        if shape[-1] % 2:
            raise InvalidInput(
                "y_hat must have K = 2 M outputs, the mean and the log-variance of each target. "
                f"Got K = {shape[-1]}"
            )
        return (*shape[:-1], shape[-1] // 2)

    def _outputs(self, outputs: int) -> int:
        return outputs // 2

    def _check_targets(self, y: npt.ArrayLike, y_hat: Array) -> Array:
        *rows, targets = self.target_shape(y_hat.shape)
        reason = f"K = {y_hat.shape[-1]} outputs hold the mean and the log-variance of each target"
        axes = [*zip("BT", rows, strict=False), ("M", targets)]
        return check_array("y", y, axes, dtype=y_hat.dtype, reason=reason)

    def _rows(self, y_hat: Array, y: Array) -> tuple[Array, Array]:
        losses, *slopes = gaussian(y_hat[..., 0::2], y_hat[..., 1::2], y)
        return row_sums(losses), np.stack(slopes, axis=-1).reshape(y_hat.shape)
