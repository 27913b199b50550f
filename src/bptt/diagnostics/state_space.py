"""The state space that a network moves in, seen along the directions in which it moves most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.brief import brief
from bptt.checks import Array, check_array, check_whole
from bptt.diagnostics.exact import FLOAT64, check_network, check_real
from bptt.diagnostics.step_map import StepMap
from bptt.errors import InvalidInput
from bptt.network import Network
from bptt.plots import state_space as draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class StateSpace:
    """Trajectories and their principal components.

    Attributes
    ----------
    states : ndarray (B, T + 1, n)
        All the network's states, layer by layer, the initial one first.
    mean : ndarray (n,)
    components : ndarray (n, n) or fewer rows
        Orthonormal rows, the direction of largest variance first. The largest entry of each is positive.
    shares : ndarray (rows,)
        Of the variance along each.
    """

    states: Array
    mean: Array
    components: Array
    shares: Array

    __repr__ = brief

    def project(self, states: npt.ArrayLike) -> Array:
        """Return coordinates (..., rows) of states (..., n) along the components."""
        given, n = check_real("states", states), len(self.mean)
        if given.dtype.kind not in "fiub" or given.shape[-1:] != (n,):
            raise InvalidInput(
                f"states must be numbers of shape (..., n) = (..., {n}). Got {given.dtype} of shape {given.shape}"
            )
        return (given.astype(np.float64) - self.mean) @ self.components.T

    @property
    def participation(self) -> float:
        """The participation ratio, 1 / sum of shares^2: in about how many directions the states spread."""
        total = float((self.shares**2).sum())
        return 1 / total if total else 0.0

    def plot(
        self,
        *,
        axes: tuple[int, int] = (0, 1),
        points: Mapping[str, Array] | None = None,
        ax: Axes | None = None,
        **look: Any,
    ) -> Axes:
        """Draw the trajectories along two components, and `points` (P, n) by kind.

        `look` as for `bptt.plots.state_space`.
        """
        first, second = self._places(axes)
        seen = self.project(self.states)[:, :, [first, second]]
        marked = {
            kind: self.project(each)[:, [first, second]] for kind, each in (points or {}).items() if len(each)
        }
        given = {
            "x_label": f"component {first + 1}: {100 * self.shares[first]:.0f} % of the variance",
            "y_label": f"component {second + 1}: {100 * self.shares[second]:.0f} %",
            **look,
        }
        return draw(seen, marked, ax=ax, **given)

    def _places(self, axes: tuple[int, int]) -> tuple[int, int]:
        if np.shape(axes) != (2,):
            raise InvalidInput(f"axes must be two numbers of components. Got {axes!r}")
        found = tuple(check_whole("axes", each, least=0) for each in axes)
        if max(found) >= len(self.components):
            raise InvalidInput(
                f"axes must be below {len(self.components)}, the number of components. Got {tuple(axes)}"
            )
        return found[0], found[1]


def state_space(
    net: Network,
    x: npt.ArrayLike,
    *,
    free: int = 0,
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
) -> StateSpace:
    """Return the trajectories of all the network's states and their principal components.

    Parameters
    ----------
    net : Network
        Any cell and stack that runs forward in time.
    x : array_like (B, T, D)
    free : int
        After x, run that many steps on the network's own predictions (K = D), and keep these alone.
    state, parameters
        As for `Network.forward`.

    Raises
    ------
    InvalidInput, InvalidType
        A network that does not run forward, or cannot run freely; states that are not finite.

    Notes
    -----
    The components are the right singular vectors of the states less their mean, over all rows and steps.
    """
    return trajectories(net, x, free=free, state=state, parameters=parameters)[0]


def trajectories(
    net: Network,
    x: npt.ArrayLike,
    *,
    free: int,
    state: Mapping[str, npt.ArrayLike] | None,
    parameters: Mapping[str, Array] | None,
) -> tuple[StateSpace, StepMap]:
    """Return the state space and the map that its last steps follow: the closed one where they are free."""
    inputs = check_array(
        "x",
        check_real("x", x),
        [("B", None), ("T", None), ("D", check_network(net).input_size)],
        dtype=FLOAT64,
    )
    steps_free = check_whole("free", free, least=0)
    step = StepMap(net, parameters)
    batch = len(inputs)
    if not batch:
        raise InvalidInput("x must hold at least one row. Got none")
    states = step.run(inputs.transpose(1, 0, 2), step.start(state, batch))
    if steps_free:
        if net.feedback:
            raise InvalidInput(
                "free must be 0 for a network with feedback, which runs on its own predictions as it is. "
                f"Got {steps_free}"
            )
        step = StepMap(net, parameters, closed=True)
        states = step.run(np.zeros((steps_free, batch, 0)), states[-1])
    if not np.isfinite(states).all():
        raise InvalidInput("net must stay finite along the trajectories. Got a state of nan or inf")
    flat = states.reshape(-1, step.size)
    mean = flat.mean(axis=0)
    _, sizes, components = np.linalg.svd(flat - mean, full_matrices=False)
    largest = np.abs(components).argmax(axis=1)
    components *= np.sign(components[np.arange(len(components)), largest])[:, None]
    total = float((sizes**2).sum())
    shares = sizes**2 / total if total else np.zeros(len(sizes))
    return StateSpace(states.transpose(1, 0, 2), mean, components, shares), step
