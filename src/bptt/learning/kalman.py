"""The extended Kalman filter as a learning rule: weights are a state that the targets are noisy readings of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_number
from bptt.errors import DivergedError, InvalidInput, InvalidType
from bptt.learning.online import Online
from bptt.losses import HalfSquared, Squared
from bptt.network import Network
from bptt.optim import Schedule

# Weights of one filter: the covariance is a dense matrix of float64, 1.2 GB at this size.
LARGEST = 12_000


class EKF(Online):
    """Train a small network by the global extended Kalman filter, one update a step.

    Parameters
    ----------
    net : Network
        Any cell, forward in time, without feedback and dropout, with a squared loss. Changed in place.
    initial_variance : float
        Above 0: how far each weight may be from its starting value, squared. It is the prior of the first update.
    observation_noise : float or Schedule
        Above 0: variance of the targets around the best network, in their unit squared.
    process_noise : float or Schedule
        At least 0: variance that each weight gains a step. 0 never forgets; above 0 the filter follows a drift, and
        escapes poor solutions early on. A schedule is asked once an update.
    only : iterable of str, optional
        Parameters that are trained; the others stay as they are. All by default.
    streams : int
        S series that advance together, S K readings an update (Feldkamp's multi-streaming).
    state : mapping of state name to array_like (L, S, H), optional
        Before the first row.

    Attributes
    ----------
    covariance : ndarray (P, P), float64
        Of the trained weights, in the order of `names`, each flattened.
    names : tuple of str

    Raises
    ------
    InvalidInput, InvalidType
        A network or a setting that does not fit; more than 12,000 trained weights.

    Notes
    -----
    With C_t = dy_hat_t/dtheta from real-time recurrent learning, ::

        A = R + C_t P C_t^T,   theta <- theta + P C_t^T A^{-1} (y_t - y_hat_t),   P <- P - P C_t^T A^{-1} C_t P + Q.

    Where the prediction is linear in what is trained this is the Kalman filter, and with Q = 0 recursive least
    squares: the exact ridge solution of all targets so far. An update costs some 2 P^2 S K multiplications beside
    those of `RTRL`.

    References
    ----------
    Puskorius and Feldkamp 1994, "Neurocontrol of nonlinear dynamical systems with Kalman filter trained recurrent
    networks", IEEE Transactions on Neural Networks 5. Jaeger 2002, "A tutorial on training recurrent neural
    networks", section 4: there the derivatives come from truncated BPTT or RTRL; here always from the latter.
    """

    _remedy = "lower initial_variance, raise observation_noise, or scale the data"

    def __init__(
        self,
        net: Network,
        *,
        initial_variance: float = 0.1,
        observation_noise: float | Schedule = 0.1,
        process_noise: float | Schedule = 0.0,
        only: Iterable[str] | None = None,
        streams: int = 1,
        state: Mapping[str, npt.ArrayLike] | None = None,
    ) -> None:
        super().__init__(net, streams, state, "full")
        if not isinstance(net.loss, (Squared, HalfSquared)):
            raise InvalidInput(f"net must have a squared loss for a Kalman filter. Got {net.loss.kind}")
        self.names = _chosen(net, only)
        self.observation_noise = _noise("observation_noise", observation_noise, above=0.0)
        self.process_noise = _noise("process_noise", process_noise, least=0.0)
        variance = check_number("initial_variance", initial_variance, above=0.0)
        size = sum(net.parameters[name].size for name in self.names)
        if size > LARGEST:
            raise InvalidInput(
                f"net must have at most {LARGEST} trained weights: their covariance is a dense matrix. Got {size}: "
                "take a smaller network, or name some parameters in only="
            )
        self.covariance = variance * np.eye(size)

    def deviations(self) -> dict[str, Array]:
        """Return the standard deviation of each trained weight, by name and of its shape."""
        return self._split(np.sqrt(np.diag(self.covariance)))

    def _learn(self, y_hat: Array, y: Array, dy_hat: Array, weights: npt.ArrayLike | None) -> None:  # noqa: ARG002
        parameters, K = self.net.parameters, self.net.output_size
        found = self._pass.jacobian(parameters)
        C = np.concatenate([found[name].reshape(self.streams * K, -1) for name in self.names], axis=1)
        error = (y - y_hat).reshape(-1).astype(np.float64)
        noise = np.full(len(error), _at(self.observation_noise, self.updates, above=0.0))
        C = C.astype(np.float64, copy=False)
        if weights is not None:
            spread = np.repeat(np.asarray(weights, np.float64), K)
            counted = spread > 0
            C, error, noise = C[counted], error[counted], noise[counted] / spread[counted]
        crossed = C @ self.covariance  # (M, P), the transpose of P C^T: P is symmetric
        A = crossed @ C.T
        A[np.diag_indices_from(A)] += noise
        try:
            L = np.linalg.cholesky(A)
        except np.linalg.LinAlgError:
            raise DivergedError(
                "the error's expected variance must be positive to learn from. Got a covariance that rounding has "
                f"spoilt, at update {self.updates}: {self._remedy}"
            ) from None
        half = np.linalg.solve(L, np.concatenate([crossed, error[:, None]], axis=1))
        V, change = half[:, :-1], half[:, -1] @ half[:, :-1]
        # In the weights' own dtype: what float64 can hold, float32 may not.
        moved = {
            name: parameters[name] + part.astype(parameters[name].dtype)
            for name, part in self._split(change).items()
        }
        for name, values in moved.items():
            self._check_finite(f"the update of {name}", float(np.abs(values).max(initial=0.0)))
        # As V^T V with A = L L^T and V = L^{-1} C P: symmetric to the last bit, so that P stays so.
        self.covariance -= V.T @ V
        self.covariance[np.diag_indices_from(self.covariance)] += _at(
            self.process_noise, self.updates, least=0.0
        )
        for name, values in moved.items():
            parameters[name][...] = values

    def _split(self, flat: Array) -> dict[str, Array]:
        parts, first = {}, 0
        for name in self.names:
            p = self.net.parameters[name]
            parts[name] = flat[first : first + p.size].reshape(p.shape)
            first += p.size
        return parts


def _chosen(net: Network, only: Iterable[str] | None) -> tuple[str, ...]:
    if only is None:
        return tuple(net.parameters)
    if isinstance(only, str) or not isinstance(only, Iterable):
        raise InvalidType(f"only must be a sequence of parameter names. Got {only!r}")
    asked: list[Any] = list(only)
    unknown = [name for name in asked if not isinstance(name, str) or name not in net.parameters]
    if unknown or not asked:
        raise InvalidInput(
            f"only must name parameters of the network: {', '.join(net.parameters)}. "
            f"Got {repr(unknown[0]) if unknown else 'none'}"
        )
    return tuple(name for name in net.parameters if name in asked)


def _noise(name: str, value: Any, **rule: float) -> float | Schedule:
    return value if isinstance(value, Schedule) else check_number(name, value, **rule)


def _at(noise: float | Schedule, step: int, **rule: float) -> float:
    return check_number("noise", noise(step), **rule) if isinstance(noise, Schedule) else noise
