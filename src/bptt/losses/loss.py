"""What every loss shares: the checks, the reduction to one number, and the weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_choice
from bptt.configs import Configured
from bptt.errors import InvalidInput, InvalidType

# A float; complex where y_hat or y is complex, which is how the complex-step check reads a derivative.
Scalar = Any


@dataclass(frozen=True)
class Loss(Configured):
    """A number to make small, and its gradient with respect to the predictions.

    Parameters
    ----------
    time : {"mean", "sum"}
        Keyword only. How the steps of predictions (B, T, K) are put together; without a time axis the same.

    Notes
    -----
    With l_bt the loss of row b at step t (of a pointwise loss the mean over the K outputs) and w_bt its
    weight (1 by default; weights (B,) hold for every step of their row)::

        time="mean"   L = sum_bt w_bt l_bt / sum_bt w_bt
        time="sum"    L = sum_bt w_bt l_bt / sum_b max_t w_bt

    Without weights: the mean over batch, steps and outputs, or the sum over steps of the mean over batch
    and outputs. A weight of 0 takes its entry out entirely, even where y or y_hat is NaN. So a mask gives
    the mean over the steps that count (PyTorch's ``ignore_index``, Keras' masks); a weight of 2 is the same
    as having the row twice (scikit-learn's rule); multiplying all weights by one number changes nothing.
    Keras divides *sample weights* by their count instead of their sum: its loss is ours times the mean
    weight. With time="sum" the divisor counts each row once, by its largest weight: with a mask, it is the
    number of rows with a step that counts.

    The arithmetic runs in the dtype of `y_hat`; only the last sum, which is reported and goes into no
    gradient, runs in float64. What overflows becomes inf or NaN, visibly and without a warning.
    """

    time: str = field(default="mean", kw_only=True)

    # Whether y holds class numbers, which are integers and have no axis of outputs.
    class_targets: ClassVar[bool] = False
    # Whether a row of y is a distribution over the outputs.
    probability_targets: ClassVar[bool] = False
    # What the outputs are where they are no predictions of y, to be activated, added to an input or fed back.
    outputs_are: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_choice("time", self.time, ("mean", "sum"))

    def value(self, y_hat: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Scalar:
        """Return the loss alone; arguments as for `value_and_gradient`."""
        return self.value_and_gradient(y_hat, y, weights)[0]

    def value_and_gradient(
        self, y_hat: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None = None
    ) -> tuple[Scalar, Array]:
        """Return the loss and its gradient.

        Parameters
        ----------
        y_hat : ndarray (B, K) or (B, T, K)
            Predictions; float32, float64 or complex.
        y : ndarray
            Targets of shape `target_shape(y_hat.shape)`; never broadcast.
        weights : ndarray (B,) or (B, T), optional
            At least 0, finite, not all zero; (B, T) only where y_hat has a time axis.

        Returns
        -------
        loss : float
            Complex where y_hat or y is.
        dy_hat : ndarray
            dL/dy_hat, of the shape and dtype of y_hat.

        Raises
        ------
        InvalidInput
            A shape or a value that does not fit; all weights zero; a class number out of range.
        InvalidType
            Not numbers; class numbers that are not integers.
        """
        predicted = _check_predictions(y_hat)
        target = self._check_targets(y, predicted)
        scales = self.scales(predicted.shape, weights)
        if weights is not None:
            # Not by a product with 0, which keeps a NaN.
            counted = _spread(np.asarray(weights) > 0, predicted.shape[:-1])
            predicted = np.where(counted[..., None], predicted, predicted.dtype.type(0))
            target = np.where(
                counted if self.class_targets else counted[..., None], target, target.dtype.type(0)
            )
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            losses, slopes = self._rows(predicted, target)
            total = np.sum(scales * losses).item()
            gradient = slopes * scales.astype(slopes.real.dtype)[..., None]
        return total, gradient

    def target_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape that y must have beside predictions of `shape`."""
        return tuple(shape)

    def check_targets(self, y: npt.ArrayLike, shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
        """Return y as an array that fits predictions of `shape` and `dtype`, or raise InvalidInput or InvalidType."""
        return self._check_targets(y, np.broadcast_to(np.zeros((), dtype), tuple(shape)))

    def scales(self, shape: Sequence[int], weights: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
        """Return what each row's loss is multiplied by before all are added.

        Parameters
        ----------
        shape : (B, K) or (B, T, K)
            Shape of the predictions.
        weights : ndarray (B,) or (B, T), optional
            As for `value_and_gradient`.

        Returns
        -------
        ndarray (B,) or (B, T), float64
            Weight over divisor: dL/dy_hat is the elementwise derivative times this.
        """
        rows = tuple(shape[:-1])
        if weights is None:
            spread = np.ones(rows)
        else:
            spread = _spread(_check_weights(weights, rows), rows)
        if self.time == "sum" and len(rows) == 2:
            divisor = float(np.max(spread, axis=1).sum())
        else:
            divisor = float(spread.sum())
        return spread / (divisor * self._outputs(shape[-1]))

    def _outputs(self, outputs: int) -> int:
        """Return how many of a row's elements its loss is the mean of."""
        return outputs

    @abstractmethod
    def _check_targets(self, y: npt.ArrayLike, y_hat: Array) -> Array:
        """Return y as an array of the right shape and dtype, or raise."""

    @abstractmethod
    def _rows(self, y_hat: Array, y: Array) -> tuple[Array, Array]:
        """Return each row's loss, summed over its outputs in double precision, and dloss/dy_hat."""


def row_sums(losses: Array) -> Array:
    """Return the sums over the last axis in double precision."""
    return np.asarray(losses.sum(axis=-1, dtype=np.result_type(losses.dtype, np.float64)))


def _check_predictions(y_hat: npt.ArrayLike) -> Array:
    array = np.asarray(y_hat)
    if array.dtype.kind not in "fciub":
        raise InvalidType(f"y_hat must hold numbers. Got dtype {array.dtype}")
    if array.ndim not in (2, 3):
        raise InvalidInput(f"y_hat must have shape (B, K) or (B, T, K). Got {array.shape}")
    if array.size == 0:
        raise InvalidInput(f"y_hat must hold at least one prediction. Got shape {array.shape}")
    return array if array.dtype.kind in "fc" else array.astype(np.float64)


def _check_weights(weights: npt.ArrayLike, rows: tuple[int, ...]) -> npt.NDArray[np.float64]:
    array = np.asarray(weights)
    if array.dtype.kind not in "fiub":
        raise InvalidType(f"weights must hold real numbers. Got dtype {array.dtype}")
    if array.shape not in (rows[:1], rows):
        either = f"(B,) = ({rows[0]},)"
        if len(rows) == 2:
            either += f" or (B, T) = {rows}"
        raise InvalidInput(f"weights must have shape {either}. Got {array.shape}")
    wrong = np.argwhere(~(np.isfinite(array) & (array >= 0)))
    if wrong.size:
        place = tuple(int(i) for i in wrong[0])
        raise InvalidInput(f"weights must be finite and at least 0. Got {array[place]} at {list(place)}")
    if not array.any():
        raise InvalidInput(
            "weights must hold at least one number above 0. Got only zeros: nothing would count"
        )
    return array.astype(np.float64)


def _spread(weights: Array, rows: tuple[int, ...]) -> Array:
    """Return weights (B,) or (B, T) with one entry for every row of predictions."""
    if weights.ndim == len(rows):
        return weights
    return np.broadcast_to(weights[:, None], rows)
