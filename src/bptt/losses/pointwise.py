"""Losses of one prediction against one target, each a scalar formula: value and derivative side by side.

Selection is by `step`, which keeps what it selects to the last bit: an error e clipped by
``e - relu(e - delta)`` would cancel to 0 in float32 as soon as it is 1e8 times delta.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bptt.activations import step
from bptt.checks import Array, check_array, check_number
from bptt.errors import InvalidInput, InvalidType
from bptt.formulas import Formula
from bptt.losses.loss import Loss, row_sums


@Formula
def squared(y_hat: Any, y: Any) -> Any:
    """(y_hat - y)^2."""
    error = y_hat - y
    loss = error * error
    dy_hat = 2 * error
    return loss, dy_hat


@Formula
def half_squared(y_hat: Any, y: Any) -> Any:
    """(y_hat - y)^2 / 2."""
    error = y_hat - y
    loss = 0.5 * error * error
    dy_hat = error
    return loss, dy_hat


@Formula
def absolute(y_hat: Any, y: Any) -> Any:
    """Distance of y_hat from y; slope 0 where they are equal."""
    error = y_hat - y
    sign = step(error) - step(-error)
    loss = error * sign
    dy_hat = sign
    return loss, dy_hat


@Formula
def huber(y_hat: Any, y: Any, delta: Any) -> Any:
    """Squared within delta of y, absolute beyond."""
    error = y_hat - y
    over = step(error - delta)
    under = step(-error - delta)
    clipped = error * (1 - over - under) + delta * (over - under)
    loss = clipped * (error - 0.5 * clipped)
    dy_hat = clipped
    return loss, dy_hat


@Formula
def pinball(y_hat: Any, y: Any, quantile: Any) -> Any:
    """Each unit above y costs 1 - quantile, each unit below costs quantile."""
    error = y_hat - y
    slope = step(error) - quantile
    loss = error * slope
    dy_hat = slope
    return loss, dy_hat


@dataclass(frozen=True)
class Pointwise(Loss):
    """A formula averaged over the outputs; subclasses name the formula and its constants."""

    @property
    @abstractmethod
    def formula(self) -> Formula:
        """Takes ``(y_hat, y, *constants)``, gives ``(loss, dy_hat)``, for one prediction."""

    def constants(self) -> tuple[float, ...]:
        """Return what follows y_hat and y in the formula."""
        return ()

    def beside_outputs(self, y: Array) -> Array:
        """Return the target that stands beside each output, (..., K)."""
        return y

    def output_constants(self, outputs: int) -> tuple[Array, ...]:
        """Return the formula's constants for each of K outputs: arrays (K,)."""
        return tuple(np.full(outputs, number) for number in self.constants())

    def _check_targets(self, y: npt.ArrayLike, y_hat: Array) -> Array:
        *rows, outputs = y_hat.shape
        reason = "one target beside each prediction"
        if np.ndim(y) == len(rows) and outputs == 1:
            reason += "; y[..., None] adds the axis of outputs"
        axes = [*zip("BT", rows, strict=False), ("K", outputs)]
        return check_array("y", y, axes, dtype=y_hat.dtype, reason=reason)

    def _rows(self, y_hat: Array, y: Array) -> tuple[Array, Array]:
        losses, slopes = self.formula(y_hat, y, *self.constants())
        return row_sums(losses), slopes


@dataclass(frozen=True)
class Squared(Pointwise):
    """Mean squared error: l = (y_hat - y)^2. Also called "mse"; the weather lab's loss.

    With time="sum" the steps are added instead: the lab's equation (3).
    """

    kind: ClassVar[str] = "squared"

    @property
    def formula(self) -> Formula:
        """Takes ``(y_hat, y)``, gives ``(loss, dy_hat)``."""
        return squared


@dataclass(frozen=True)
class HalfSquared(Pointwise):
    """Half the squared error: l = (y_hat - y)^2 / 2, whose derivative is the error itself.

    Notes
    -----
    The lecture's loss. On its one sequence with one output, time="sum" is its formula L = 1/2 sum_t e_t^2
    and gives the gradient e_t that it sends back; time="mean" is the number that it calls MSSE, L / T.
    """

    kind: ClassVar[str] = "half_squared"

    @property
    def formula(self) -> Formula:
        """Takes ``(y_hat, y)``, gives ``(loss, dy_hat)``."""
        return half_squared


@dataclass(frozen=True)
class Absolute(Pointwise):
    """Mean absolute error: l = abs(y_hat - y), with derivative 0 where they are equal. Also called "mae"."""

    kind: ClassVar[str] = "absolute"

    @property
    def formula(self) -> Formula:
        """Takes ``(y_hat, y)``, gives ``(loss, dy_hat)``."""
        return absolute


@dataclass(frozen=True)
class Huber(Pointwise):
    """Squared near the target, absolute far from it.

    Parameters
    ----------
    delta : float
        Above 0, in the unit of y: where the one becomes the other.

    Notes
    -----
    With e = y_hat - y and c = e held within -delta..delta, l = c (e - c/2) and dl/dy_hat = c.
    That is e^2 / 2 inside and delta (abs(e) - delta/2) outside: PyTorch's ``HuberLoss``, Keras' ``Huber``.

    References
    ----------
    Huber 1964, "Robust estimation of a location parameter", doi 10.1214/aoms/1177703732.
    """

    delta: float = 1.0
    kind: ClassVar[str] = "huber"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "delta", check_number("delta", self.delta, above=0))

    @property
    def formula(self) -> Formula:
        """Takes ``(y_hat, y, delta)``, gives ``(loss, dy_hat)``."""
        return huber

    def constants(self) -> tuple[float, ...]:
        """Return delta."""
        return (self.delta,)


@dataclass(frozen=True)
class Pinball(Pointwise):
    """Quantile loss: the prediction that makes it smallest is the given quantile of y.

    Parameters
    ----------
    quantiles : sequence of float
        Q numbers between 0 and 1, rising.

    Notes
    -----
    For M targets, the columns of y, there are K = M Q outputs: output m Q + q is the q-th quantile of
    target m, so ``y_hat.reshape(*y.shape, Q)`` puts the quantiles on an axis of their own. With
    e = y_hat - y, ::

        l = e (1 - quantile) where e > 0, and -e quantile elsewhere;   dl/dy_hat = step(e) - quantile.

    The mean is over all K outputs. Nothing here keeps the quantiles of one target in order.

    References
    ----------
    Koenker and Bassett 1978, "Regression quantiles", doi 10.2307/1913643.
    """

    quantiles: Sequence[float] = (0.1, 0.5, 0.9)
    kind: ClassVar[str] = "pinball"

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self.quantiles
        if isinstance(given, str) or np.ndim(given) != 1:
            raise InvalidType(f"quantiles must be a sequence of numbers, e.g. (0.1, 0.5, 0.9). Got {given!r}")
        if len(given) == 0:
            raise InvalidInput("quantiles must hold at least one number. Got none")
        found = tuple(check_number("quantiles", q, above=0, below=1) for q in given)
        if any(a >= b for a, b in pairwise(found)):
            raise InvalidInput(f"quantiles must rise. Got {', '.join(f'{q:g}' for q in found)}")
        object.__setattr__(self, "quantiles", found)

    @property
    def formula(self) -> Formula:
        """Takes ``(y_hat, y, quantile)``, gives ``(loss, dy_hat)``."""
        return pinball

    def target_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of y: one column for every Q outputs."""
        count = len(self.quantiles)
        if shape[-1] % count:
            raise InvalidInput(
                f"y_hat must have K = M Q outputs, Q = {count} quantiles of each target. Got K = {shape[-1]}"
            )
        return (*shape[:-1], shape[-1] // count)

    def beside_outputs(self, y: Array) -> Array:
        """Return each target once for every quantile, (..., K)."""
        return np.repeat(y, len(self.quantiles), axis=-1)

    def output_constants(self, outputs: int) -> tuple[Array, ...]:
        """Return the quantile of each of K outputs."""
        return (np.tile(np.asarray(self.quantiles), outputs // len(self.quantiles)),)

    def _check_targets(self, y: npt.ArrayLike, y_hat: Array) -> Array:
        *rows, targets = self.target_shape(y_hat.shape)
        reason = f"K = {y_hat.shape[-1]} outputs hold Q = {len(self.quantiles)} quantiles of each target"
        axes = [*zip("BT", rows, strict=False), ("M", targets)]
        return check_array("y", y, axes, dtype=y_hat.dtype, reason=reason)

    def _rows(self, y_hat: Array, y: Array) -> tuple[Array, Array]:
        quantile = np.asarray(self.quantiles, dtype=y_hat.real.dtype)
        apart = y_hat.reshape(*y.shape, len(quantile))  # (..., M, Q)
        losses, slopes = self.formula(apart, y[..., None], quantile)
        return row_sums(losses.reshape(y_hat.shape)), slopes.reshape(y_hat.shape)
