"""How large the gradient is on its way back through time: the norm of dL/d(state) at every step."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_choice
from bptt.engine import reference
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network
from bptt.network.readout import read_backward
from bptt.network.reversal import reversal, reverse
from bptt.network.weights import step_weights
from bptt.network.windowed import WindowTape
from bptt.plots import path_lengths

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """Norms of the gradient with respect to each state.

    Attributes
    ----------
    loss : float
    norms : dict of str to ndarray (T + 1, B)
        By layer and state, ``"layers.0.h"``: the norm of each row's dL/d(state after t steps), t = 0..T, float64.
        Everything that the state leads to is included. In the reverse direction t counts steps as they are run.
    """

    loss: float
    norms: dict[str, Array]

    def of_layer(self, prefix: str = "layers.0.") -> Array:
        """Return the norm (T + 1, B) of all the states of one layer together."""
        found = [each for name, each in self.norms.items() if name[: name.rindex(".") + 1] == prefix]
        if not found:
            known = sorted({name[: name.rindex(".") + 1] for name in self.norms})
            check_choice("prefix", prefix, known)
        return np.asarray(np.sqrt(np.sum(np.square(found), axis=0)))

    def medians(self, prefix: str = "layers.0.") -> Array:
        """Return the median over the rows of `of_layer`, (T + 1,)."""
        return np.asarray(np.median(self.of_layer(prefix), axis=1))

    def plot(self, prefix: str = "layers.0.", *, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw `medians`; `look` as for `bptt.plots.path_lengths`."""
        given = {"quantity": "|dL/dh_t|, median", "x_label": "step t", **look}
        return path_lengths({prefix: self.medians(prefix)}, ax=ax, **given)


def gradient_flow(
    net: Network,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    lengths: npt.ArrayLike | None = None,
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
) -> GradientFlow:
    """Return the norm of the loss's gradient with respect to every state.

    Parameters
    ----------
    net : Network
        Any cell, stack and direction; without feedback and linear path. Nothing is dropped out.
    x : array_like (B, T, D)
    y, weights, lengths, state, parameters
        As for `Network.loss_and_gradients`.

    Returns
    -------
    GradientFlow
        Computed in float64 by the reference engine, so that what has vanished in float32 is still seen.

    Raises
    ------
    InvalidInput, InvalidType
        A network with feedback or a linear path; shapes that do not fit.

    Notes
    -----
    The sweep back is the engine's own, with ``want={"states"}``. A loss that is a mean over the rows has gradients 1/B
    of one row's own: the shape over t is what counts.
    """
    if not isinstance(net, Network):
        raise InvalidType(f"net must be a Network. Got {type(net).__name__}")
    if net.feedback or net.linear_lags:
        raise InvalidInput(
            "net must be without feedback and linear path, so that all of the loss comes over the states. Got "
            f"feedback={net.feedback}, linear_lags = {net.linear_lags}"
        )
    exact, used = in_float64(net, parameters)
    record = exact.forward(x, state, lengths, parameters=used)
    counted = step_weights(weights, lengths, record.y_hat.shape)
    loss, dy_hat = net.loss.value_and_gradient(record.y_hat, np.asarray(y), counted)
    with one_blas_thread():
        return GradientFlow(float(loss), _sweep(exact, record.tape, dy_hat))


def in_float64(
    net: Network, parameters: Mapping[str, Array] | None = None
) -> tuple[Network, dict[str, Array]]:
    """Return the network on the reference engine in float64, and its parameters so."""
    stack = copy.copy(net.recurrent)
    stack.engine, stack.dtype = "numpy", np.dtype("float64")
    found = copy.copy(net)
    found.recurrent = stack
    return found, {name: np.asarray(p, np.float64) for name, p in (parameters or net.parameters).items()}


def _sweep(net: Network, tape: WindowTape, dy_hat: Array) -> dict[str, Array]:
    """Go back through the layers from the top, keeping the norms of each."""
    stack, every = net.recurrent, net.readout == "every"
    T, H, n = tape.stack.steps, stack.hidden_size, len(stack.directions)
    order = reversal(tape.stack.lengths, T)
    dy = dy_hat.transpose(1, 0, 2) if every else dy_hat
    _, dfeatures, _ = read_backward(net, tape.parameters, tape.readout, dy)
    dh: Array | None = dfeatures if every else None
    found: dict[str, Array] = {}
    for layer in range(stack.num_layers - 1, -1, -1):
        below: Array | None = None
        for d, direction in enumerate(stack.directions):
            k, units = layer * n + d, slice(d * H, (d + 1) * H)
            arriving = None if dh is None else dh[:, :, units]
            if arriving is not None and direction == "reverse":
                arriving = reverse(arriving, order)
            last = {"h": dfeatures[:, units]} if not every and layer == stack.num_layers - 1 else None
            swept = reference.backward(tape.stack.tapes[k], arriving, last, want={"states", "x"})
            assert swept.states is not None
            assert swept.x is not None
            for name, each in swept.states.items():
                found[stack.prefixes[k] + name] = np.linalg.norm(each, axis=2)
            dx = reverse(swept.x, order) if direction == "reverse" else swept.x
            below = dx if below is None else below + dx
        dh = below
    return dict(sorted(found.items()))
