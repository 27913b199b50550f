"""Fixed and slow points of what was learnt, and how the states move around them (Sussillo and Barak 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.brief import brief
from bptt.checks import Array, check_array, check_number, check_whole
from bptt.diagnostics.exact import FLOAT64
from bptt.diagnostics.speed_search import Search, search
from bptt.diagnostics.state_space import StateSpace, trajectories
from bptt.errors import InvalidInput
from bptt.network import Network
from bptt.plots import eigenvalues

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# An eigenvalue this near to the unit circle decides nothing: the linear part neither grows nor decays.
BORDER = 1e-6
KINDS = ("attractor", "saddle", "repeller", "border", "slow")


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """Points where a network stands still, or nearly does, slowest first.

    Attributes
    ----------
    points : ndarray (P, n)
        All the network's states, layer by layer.
    q : ndarray (P,)
        ``|F(s) - s|^2 / 2`` there.
    is_fixed : ndarray (P,), bool
        False: a slow point, a minimum of q above 0.
    eigenvalues : ndarray (P, n), complex
        Of the Jacobian of one step, largest modulus first.
    reached : ndarray (P,), int64
        From how many starts.
    starts : int
        How many there were.
    lost : int
        Starts that ended where q is larger than asked for, or that did not end.
    space : StateSpace
        The trajectories that the starts lie on.
    """

    points: Array
    q: Array
    is_fixed: npt.NDArray[np.bool_]
    eigenvalues: Array
    reached: npt.NDArray[np.int64]
    starts: int
    lost: int
    space: StateSpace

    __repr__ = brief

    @property
    def unstable(self) -> npt.NDArray[np.int64]:
        """In how many directions each point repels: eigenvalues outside the unit circle, (P,)."""
        return np.asarray((np.abs(self.eigenvalues) > 1 + BORDER).sum(axis=1))

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each point is.

        "attractor": every direction decays. "saddle": some grow. "repeller": all grow. "border": none grows, and at
        least one neither grows nor decays, to 1e-6. "slow": not a fixed point.
        """
        found = []
        for values, fixed in zip(np.abs(self.eigenvalues), self.is_fixed, strict=True):
            growing = int((values > 1 + BORDER).sum())
            if not fixed:
                found.append("slow")
            elif growing:
                found.append("repeller" if growing == len(values) else "saddle")
            else:
                found.append("border" if (values >= 1 - BORDER).any() else "attractor")
        return tuple(found)

    def plot(self, *, axes: tuple[int, int] = (0, 1), ax: Axes | None = None, **look: Any) -> Axes:
        """Draw trajectories and points along two principal components; `look` as for `bptt.plots.state_space`."""
        kinds = np.array(self.kinds)
        points = {kind: self.points[kinds == kind] for kind in KINDS if (kinds == kind).any()}
        return self.space.plot(axes=axes, points=points, ax=ax, **look)

    def plot_eigenvalues(self, *, shown: int = 4, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw the eigenvalues of the first `shown` points in the plane; `look` as for `bptt.plots.eigenvalues`."""
        kinds = self.kinds
        if not kinds:
            raise InvalidInput("points must hold at least 1 point to be drawn. Got none")
        count = min(check_whole("shown", shown), len(kinds))
        return eigenvalues({f"{k + 1}: {kinds[k]}": self.eigenvalues[k] for k in range(count)}, ax=ax, **look)


def fixed_points(
    net: Network,
    x: npt.ArrayLike,
    *,
    drive: npt.ArrayLike | None = None,
    free: int = 0,
    starts: int = 100,
    spread: float = 0.0,
    slow: float = 1e-4,
    tolerance: float = 1e-9,
    merge: float = 1e-4,
    iterations: int = 200,
    seed: int = 0,
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
) -> FixedPoints:
    """Return the fixed and slow points that the states of a network pass by.

    Parameters
    ----------
    net : Network
        Any cell and stack that runs forward in time; all its states together.
    x : array_like (B, T, D)
        Sequences; the search starts from states that they lead to.
    drive : array_like (D,), optional
        The input that is held while points are looked for; zeros by default. A step is ``s -> F(s, drive)``.
    free : int
        After x, run that many steps on the network's own predictions (K = D). The starts are these states, and the
        points those of the closed loop; there is no drive then. A network with feedback is closed as it is.
    starts : int
        How many states are drawn, without repetition; all where there are fewer.
    spread : float
        Standard deviation of the noise added to them, in standard deviations of each unit over the trajectories.
    slow : float
        The largest q of a slow point.
    tolerance : float
        The largest entry of ``F(s) - s`` at a fixed point, relative to 1 + the largest entry of s.
    merge : float
        Points closer than this in every entry are one.
    iterations : int
        Of the search.
    seed : int
        Of the starts and the noise.
    state, parameters
        As for `Network.forward`.

    Returns
    -------
    FixedPoints

    Raises
    ------
    InvalidInput, InvalidType
        A network that does not run forward, or cannot run freely; shapes that do not fit.

    Notes
    -----
    Sussillo and Barak minimise ``q = |F(s) - s|^2 / 2`` from states that the network visits: q = 0 is a fixed point, a
    local minimum above 0 a slow point. With A = dF/ds - 1 and r = F(s) - s, each step solves
    ``(A^T A + mu) d = -A^T r`` and is shortened (mu) until q falls.

    References
    ----------
    Sussillo, D. and Barak, O. (2013). Opening the black box: low-dimensional dynamics in high-dimensional recurrent
    neural networks. Neural Computation 25, 626-649.
    """
    noise = check_number("spread", spread, least=0.0)
    most = check_number("slow", slow, least=0.0)
    near = check_number("merge", merge, above=0.0)
    exact = check_number("tolerance", tolerance, above=0.0)
    rounds, wanted = check_whole("iterations", iterations), check_whole("starts", starts)
    space, step = trajectories(net, x, free=free, state=state, parameters=parameters)
    held = np.zeros(step.input_size)
    if drive is not None:
        if free:
            raise InvalidInput("drive must be left out where the network runs freely. Got one beside free")
        held = check_array("drive", drive, [("D", step.input_size)], dtype=FLOAT64)
    rng = np.random.default_rng(check_whole("seed", seed, least=0))
    visited = space.states.reshape(-1, step.size)
    chosen = rng.permutation(len(visited))[:wanted]
    begun = visited[chosen]
    if noise:
        begun = begun + noise * visited.std(axis=0) * rng.standard_normal(begun.shape)
    found = search(
        lambda s: step.value(s, np.broadcast_to(held, (len(s), held.size))),
        lambda s: step.jacobians(s, np.broadcast_to(held, (len(s), held.size))),
        begun,
        iterations=rounds,
    )
    return _collect(found, space, exact, most, near)


def _collect(found: Search, space: StateSpace, tolerance: float, slow: float, merge: float) -> FixedPoints:
    """Keep what is fixed or slow, once each."""
    # q <= |r|^2 n / 2 where every entry of r is within the tolerance; the other way round it is a bound on each entry.
    still = np.sqrt(2 * found.q) <= tolerance * (1 + np.abs(found.states).max(axis=1))
    good = np.isfinite(found.q) & (still | (found.settled & (found.q <= slow)))
    order = [int(k) for k in np.argsort(found.q, kind="stable") if good[k]]
    kept: list[int] = []
    reached: list[int] = []
    for k in order:
        gaps = [float(np.abs(found.states[k] - found.states[other]).max()) for other in kept]
        nearest = int(np.argmin(gaps)) if gaps else -1
        if gaps and gaps[nearest] <= merge:
            reached[nearest] += 1
        else:
            kept.append(k)
            reached.append(1)
    n = found.states.shape[1]
    values = np.linalg.eigvals(found.jacobians[kept]).astype(complex) if kept else np.zeros((0, n), complex)
    by_size = np.argsort(-np.abs(values), axis=1, kind="stable")
    return FixedPoints(
        points=found.states[kept],
        q=found.q[kept],
        is_fixed=still[kept],
        eigenvalues=np.take_along_axis(values, by_size, axis=1),
        reached=np.array(reached, np.int64),
        starts=len(found.q),
        lost=int((~good).sum()),
        space=space,
    )
