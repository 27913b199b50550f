"""What a truncated gradient gets wrong: its angle to the full one, its length, and what it is off by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.brief import brief
from bptt.checks import Array, check_choice, check_whole
from bptt.diagnostics.exact import check_network
from bptt.diagnostics.path_lengths import Run
from bptt.diagnostics.truncation import block_gradient, check_forward
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network
from bptt.plots import curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURES = {
    "angle": "angle to the full gradient, degrees",
    "cosine": "cosine to the full gradient",
    "norm": "norm over that of the full gradient",
    "bias": "|truncated - full| / |full|",
}


@dataclass(frozen=True, eq=False)
class TruncationBias:
    """Truncated gradients against the full one, for several lengths.

    Attributes
    ----------
    loss : float
    full : dict of parameter name to ndarray
        The full gradient.
    steps : ndarray (N,), int64
        k2, the steps that a gradient looks back over, its own among them.
    cosines, norms, biases : dict of str to dict of str to ndarray (N,)
        By scheme ("sliding", "chunked", "k1 = ...") and parameter: the cosine between truncated and full gradient, the
        ratio of their norms, and the norm of their difference over that of the full one. "all": all the recurrent
        stack's parameters together; the readout's gradient is not changed by truncation. Nan where k2 < k1, and where
        a norm is 0.
    """

    loss: float
    full: dict[str, Array]
    steps: npt.NDArray[np.int64]
    cosines: dict[str, dict[str, Array]]
    norms: dict[str, dict[str, Array]]
    biases: dict[str, dict[str, Array]]

    __repr__ = brief

    def angles(self, scheme: str = "sliding", name: str = "all") -> Array:
        """Return the angles to the full gradient in degrees, (N,)."""
        found = _picked(self.cosines, scheme, name)
        return np.asarray(np.degrees(np.arccos(np.clip(found, -1.0, 1.0))))

    def plot(self, measure: str = "bias", name: str = "all", *, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw "angle", "cosine", "norm" or "bias" of each scheme against k2; `look` as for `bptt.plots.curves`."""
        check_choice("measure", measure, MEASURES)
        stores = {"cosine": self.cosines, "norm": self.norms, "bias": self.biases}
        lines = {
            scheme: self.angles(scheme, name)
            if measure == "angle"
            else _picked(stores[measure], scheme, name)
            for scheme in self.cosines
        }
        given = {
            "x_label": "steps kept, k2",
            "y_label": MEASURES[measure],
            "log_x": True,
            "level": 1.0 if measure in ("cosine", "norm") else 0.0,
            **look,
        }
        return curves(lines, x=self.steps, ax=ax, **given)


def truncation_bias(
    net: Network,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    kept: Sequence[int] | None = None,
    k1: int | None = None,
    weights: npt.ArrayLike | None = None,
    lengths: npt.ArrayLike | None = None,
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
) -> TruncationBias:
    """Compare gradients truncated in chunks and per output with the full one.

    Parameters
    ----------
    net : Network
        Any cell and stack that runs forward in time; without feedback.
    x : array_like (B, T, D)
    kept : sequence of int, optional
        The k2 to look at; by default 1, 2, 4, ... and T.
    k1 : int, optional
        A third scheme: `tbptt_gradient` with that k1, where k2 >= k1.
    y, weights, lengths, state, parameters
        As for `Network.loss_and_gradients`.

    Returns
    -------
    TruncationBias
        "sliding" is TBPTT(1, k2), `sliding_gradient` with ``truncate=k2 - 1`` (of a learned initial state with
        ``truncate=k2``); "chunked" TBPTT(k2, k2), `chunked_gradient`. At k2 = T both are the full gradient.

    Raises
    ------
    InvalidInput, InvalidType
        A network that does not run forward, or with feedback; no lengths, or lengths below 1.

    Notes
    -----
    The bias is that of the gradient of this loss: what would be left if it were averaged over ever more data like x.
    The scatter of a mini-batch's gradient around its mean comes on top of it, and averages out; the bias does not.
    """
    check_forward(check_network(net))
    run = Run(net, x, y, weights, lengths, state, parameters)
    T = len(run.tape.x)
    chosen = _steps(kept, T)
    third = None if k1 is None else check_whole("k1", k1)
    full = block_gradient(run, T, T)
    names = [name for name in full if name.startswith(("layers.", "initial."))]
    schemes = ["sliding", "chunked", *([] if third is None else [f"k1 = {third}"])]
    measures: tuple[dict[str, dict[str, Array]], ...] = tuple(
        {scheme: {name: np.full(len(chosen), np.nan) for name in ("all", *names)} for scheme in schemes}
        for _ in range(3)
    )
    for place, k2 in enumerate(chosen):
        found = {
            "sliding": _sliding(run, k2),
            "chunked": block_gradient(run, k2, k2),
        }
        if third is not None and k2 >= third:
            found[schemes[2]] = block_gradient(run, third, k2)
        for scheme, gradient in found.items():
            for name in ("all", *names):
                compared = _compare(gradient, full, names if name == "all" else [name])
                for store, number in zip(measures, compared, strict=True):
                    store[scheme][name][place] = number
    return TruncationBias(float(run.loss), full, np.array(chosen, np.int64), *measures)


def _sliding(run: Run, k2: int) -> dict[str, Array]:
    """Return the gradient of TBPTT(1, k2), from one sweep."""
    found = {name: part[0] for name, part in run.sweep(k2 - 1, apart=False).items()}
    if run.net.learned_initial_state:
        # A weight of step s is k2 - 1 Jacobians away where the state before it, which may be the learned one, is k2.
        longer = run.sweep(k2, apart=False)
        found.update({name: part[0] for name, part in longer.items() if name.startswith("initial.")})
    return found


def _compare(
    gradient: Mapping[str, Array], full: Mapping[str, Array], names: Sequence[str]
) -> tuple[float, float, float]:
    """Return the cosine, the ratio of the norms and the relative difference."""
    ours = np.concatenate([gradient[name].ravel() for name in names])
    true = np.concatenate([full[name].ravel() for name in names])
    size, length = float(np.linalg.norm(true)), float(np.linalg.norm(ours))
    if not size:
        return np.nan, np.nan, np.nan
    cosine = float(ours / length @ (true / size)) if length else np.nan
    return cosine, length / size, float(np.linalg.norm(ours - true)) / size


def _picked(store: Mapping[str, Mapping[str, Array]], scheme: str, name: str) -> Array:
    of_scheme = store[check_choice("scheme", scheme, store)]
    return of_scheme[check_choice("name", name, of_scheme)]


def _steps(kept: Sequence[int] | None, T: int) -> list[int]:
    if kept is None:
        return sorted({min(2**k, T) for k in range(T.bit_length() + 1)})
    if np.ndim(kept) != 1:
        raise InvalidType(f"kept must be a sequence of whole numbers. Got {kept!r}")
    found = sorted({min(check_whole("kept", each), T) for each in kept})
    if not found:
        raise InvalidInput("kept must hold at least 1 number of steps. Got none")
    return found
