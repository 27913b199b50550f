"""What learners that meet a series row by row share: the border, the state, and a look ahead."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_array, check_whole
from bptt.engine.blas import one_blas_thread
from bptt.errors import DivergedError, InvalidInput, InvalidType
from bptt.learning.forward_pass import ForwardPass, check_net
from bptt.network import Network


@dataclass(frozen=True)
class OnlineStep:
    """What one step of a learner gave.

    Attributes
    ----------
    y_hat : ndarray (K,), or (S, K) with several streams
        Predicted before anything was learnt from this step.
    loss : float or None
        Of that prediction; None where there was no target.
    """

    y_hat: Array
    loss: float | None


class Online(ABC):
    """What `RTRL` and `EKF` share: a network followed through one or more series, and learnt from as they come.

    Attributes
    ----------
    net : Network
        Its live parameters are what is learnt.
    streams : int
        S, series that advance together and share the parameters.
    updates : int
        Updates made since the start; a reset of the state does not change it.
    """

    _remedy = "scale the data"

    def __init__(
        self, net: Network, streams: int, state: Mapping[str, npt.ArrayLike] | None, influence: str
    ) -> None:
        self.net = check_net(net)
        self.streams = check_whole("streams", streams)
        self.updates = 0
        self._influence = influence
        self.reset(state)

    def step(
        self, x_t: npt.ArrayLike, y_t: npt.ArrayLike | None = None, weights: npt.ArrayLike | None = None
    ) -> OnlineStep:
        """Advance by one row, predict, and learn from the target.

        Parameters
        ----------
        x_t : array_like (D,), or (S, D) with several streams
        y_t : array_like (K,), or (S, K), optional
            The target of this step's prediction; class numbers () or (S,) for the cross-entropy. Without one nothing
            is learnt.
        weights : array_like (S,), optional
            With several streams: 0 leaves one out.

        Returns
        -------
        OnlineStep
            The prediction that was made before learning, and its loss.

        Raises
        ------
        InvalidInput, InvalidType
            A shape or a value that does not fit; nothing has changed then.
        DivergedError
            The loss or the update is not finite; the weights are those before.
        """
        x = self._row(x_t)
        target = None if y_t is None else self._target(y_t)
        if target is None and weights is not None:
            raise InvalidInput("weights must be left out where there is no y_t to weigh. Got weights")
        if weights is not None:
            self.net.loss.scales(
                (self.streams, self.net.output_size), weights
            )  # refuses wrong ones before anything moves
        parameters = self.net.parameters
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
            y_hat = self._pass.step(x, parameters)
            loss = None
            if target is not None:
                loss, dy_hat = self.net.loss.value_and_gradient(y_hat, target, weights)
                self._check_finite("the loss", loss)
                self._learn(y_hat, target, dy_hat, weights)
                self.updates += 1
        return OnlineStep(y_hat[0] if self.streams == 1 else y_hat, loss)

    def predict(self, x_t: npt.ArrayLike) -> Array:
        """Return the prediction that `step` would make of this row, and stay where the series is.

        Parameters
        ----------
        x_t : array_like (D,), or (S, D) with several streams

        Returns
        -------
        ndarray (K,), or (S, K)
        """
        x = self._row(x_t)
        with one_blas_thread():
            y_hat = self._pass.look_ahead(x, self.net.parameters)
        return y_hat[0] if self.streams == 1 else y_hat

    @property
    def state(self) -> dict[str, Array]:
        """A copy of the present states, each (L, S, H)."""
        return {name: s.copy() for name, s in self._pass.state.items()}

    def reset(self, state: Mapping[str, npt.ArrayLike] | None = None) -> None:
        """Start a new series: states and their derivatives from the beginning; what was learnt stays.

        Parameters
        ----------
        state : mapping of state name to array_like (L, S, H), optional
            The learned one, or zeros, where absent.
        """
        checked = self.net.recurrent.check_state("state", state, self.streams, self.net.dtype)
        self._pass = ForwardPass(
            self.net, self.streams, parameters=self.net.parameters, state=checked, kind=self._influence
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.net!r}, streams={self.streams}, influence={self._influence!r}, "
            f"updates={self.updates})"
        )

    @abstractmethod
    def _learn(self, y_hat: Array, y: Array, dy_hat: Array, weights: npt.ArrayLike | None) -> None:
        """Update the parameters after a step with a target."""

    def _row(self, x_t: npt.ArrayLike) -> Array:
        axes: list[tuple[str, int | None]] = [("S", self.streams), ("D", self.net.input_size)]
        x = check_array("x_t", x_t, axes[1:] if self.streams == 1 else axes, dtype=self.net.dtype)
        if x.dtype.kind == "c" or not np.isfinite(x).all():
            raise InvalidInput(
                "x_t must hold finite real numbers. Got others: fill gaps before the network sees them"
            )
        return x.reshape(self.streams, -1)

    def _target(self, y_t: npt.ArrayLike) -> Array:
        loss, shape = self.net.loss, (self.streams, self.net.output_size)
        try:
            y = np.asarray(y_t)
        except ValueError:
            raise InvalidType(
                f"y_t must be a rectangular array of numbers. Got nested sequences of unequal length: give {shape[1]} "
                "numbers a stream"
            ) from None
        wanted = loss.target_shape(shape)
        if self.streams == 1 and y.shape == wanted[1:]:
            y = y[None]
        if y.shape != wanted:
            shown = wanted[1:] if self.streams == 1 else wanted
            raise InvalidInput(
                f"y_t must have shape {shown} beside S = {self.streams} streams. Got {y.shape}"
            )
        checked = loss.check_targets(y, shape, self.net.dtype)
        if checked.dtype.kind == "f" and not np.isfinite(checked).all():
            raise InvalidInput("y_t must hold finite numbers. Got others: leave y_t out where it is missing")
        return checked

    def _check_finite(self, what: str, value: float) -> None:
        if not np.isfinite(value):
            raise DivergedError(
                f"{what} must be finite to learn from. Got {value} at update {self.updates}: {self._remedy}"
            )
