"""Finite-time Lyapunov exponents: how fast neighbouring states part, direction by direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.brief import brief
from bptt.checks import Array, check_array, check_number, check_whole
from bptt.diagnostics.exact import FLOAT64, check_network, check_real
from bptt.diagnostics.step_map import StepMap
from bptt.errors import InvalidInput
from bptt.network import Network
from bptt.plots import curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Numbers of the Jacobians that are kept at once.
_BLOCK = 8_000_000


@dataclass(frozen=True, eq=False)
class LyapunovExponents:
    """Exponents of a trajectory.

    Attributes
    ----------
    exponents : ndarray (m,)
        Natural logarithm a step, largest first; -inf for a direction that a step maps to a point.
    history : ndarray (steps, m)
        Mean over the first 1, 2, ... steps, in the order of `exponents`: how settled they are.
    """

    exponents: Array
    history: Array

    __repr__ = brief

    def horizon(self, *, level: float = 0.01) -> float:
        """Return after how many steps the largest exponent leaves `level` of a difference; inf where it keeps it.

        log(level) / lambda_1: the memory horizon of a long run, to stand beside `JacobianSpectra.horizon`.
        """
        threshold = check_number("level", level, above=0.0, below=1.0)
        first = float(self.exponents[0])
        return float(np.log(threshold) / first) if first < 0 else np.inf

    @property
    def dimension(self) -> float:
        """The Kaplan-Yorke dimension: how many of the largest exponents add up to 0, the last one in part.

        m where all of them together are not below 0: there is more than was computed.
        """
        sums = np.cumsum(self.exponents)
        falling = np.flatnonzero(sums < 0)
        if not falling.size:
            return float(len(sums))
        j = int(falling[0])
        return float(j + (sums[j - 1] / -self.exponents[j] if j else 0.0))

    def plot(self, *, shown: int = 4, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw the running means of the first `shown` exponents; `look` as for `bptt.plots.curves`."""
        lines = {
            f"exponent {k + 1}": self.history[:, k]
            for k in range(min(check_whole("shown", shown), self.history.shape[1]))
        }
        given = {"x_label": "steps", "y_label": "exponent, 1 / step", "first": 1, "level": 0.0, **look}
        return curves(lines, ax=ax, **given)


def lyapunov_exponents(
    net: Network,
    x: npt.ArrayLike,
    *,
    free: int = 0,
    settle: int = 0,
    count: int | None = None,
    seed: int = 0,
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
) -> LyapunovExponents:
    """Return the finite-time Lyapunov exponents of a network along a trajectory, by the QR method.

    Parameters
    ----------
    net : Network
        Any cell and stack that runs forward; of all its states together.
    x : array_like (T, D)
        One sequence. Without `free` the exponents are those of the driven network along it; with feedback the way
        through the predictions is included.
    free : int
        After x, run that many steps on the network's own predictions (K = D), and measure these alone.
    settle : int
        Steps measured first and left out: the directions turn to where they belong.
    count : int, optional
        m, the largest exponents wanted; all by default.
    seed : int
        Of the first directions.
    state, parameters
        As for `Network.forward`, with B = 1.

    Raises
    ------
    InvalidInput, InvalidType
        No step left to measure; a network that does not run forward, or cannot run freely; a run that diverges.

    Notes
    -----
    With orthonormal Q_0 (n, m), ``J_t Q_t = Q_(t+1) R_(t+1)`` and ``lambda_i = mean over t of log |R_ii|``
    (Benettin et al. 1980). All n of them add up to the mean of ``log |det J_t|``, exactly.

    References
    ----------
    Benettin, G., Galgani, L., Giorgilli, A. and Strelcyn, J.-M. (1980). Lyapunov characteristic exponents for smooth
    dynamical systems and for Hamiltonian systems. Meccanica 15, 9-30.
    """
    sequence = check_array(
        "x", check_real("x", x), [("T", None), ("D", check_network(net).input_size)], dtype=FLOAT64
    )
    steps_free, left_out = check_whole("free", free, least=0), check_whole("settle", settle, least=0)
    step = StepMap(net, parameters)
    m = step.size if count is None else check_whole("count", count)
    if m > step.size:
        raise InvalidInput(f"count must be at most the n = {step.size} numbers of the state. Got {m}")
    states = step.run(sequence[:, None], step.start(state, 1))[:, 0]
    inputs = sequence
    if steps_free:
        if net.feedback:
            raise InvalidInput(
                "free must be 0 for a network with feedback, which runs on its own predictions as it is. "
                f"Got {steps_free}"
            )
        step = StepMap(net, parameters, closed=True)
        inputs = np.zeros((steps_free, 0))
        states = step.run(inputs[:, None], states[-1:])[:, 0]
    measured = len(inputs) - left_out
    if measured < 1:
        raise InvalidInput(f"settle must leave a step to measure, below {len(inputs)}. Got {left_out}")
    if not np.isfinite(states).all():
        raise InvalidInput("net must stay finite along the trajectory. Got a state of nan or inf")
    logs = _logs(step, states[:-1], inputs, m, check_whole("seed", seed, least=0))[left_out:]
    order = np.argsort(-logs.mean(axis=0), kind="stable")
    history = np.cumsum(logs[:, order], axis=0) / np.arange(1, measured + 1)[:, None]
    return LyapunovExponents(history[-1].copy(), history)


def _logs(step: StepMap, states: Array, inputs: Array, m: int, seed: int) -> Array:
    """Return log |R_ii| of every step, (steps, m)."""
    found = np.empty((len(inputs), m))
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((step.size, m)))[0]
    size = max(1, _BLOCK // step.size**2)
    for first in range(0, len(inputs), size):
        part = slice(first, first + size)
        around = step.along if first == 0 else step.around
        for t, jacobian in enumerate(around(states[part], inputs[part]), start=first):
            Q, R = np.linalg.qr(jacobian @ Q)
            with np.errstate(divide="ignore"):
                found[t] = np.log(np.abs(np.diagonal(R)))
    return found
