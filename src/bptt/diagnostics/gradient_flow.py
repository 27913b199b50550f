"""How large the gradient is on its way back through time, per layer and per gate, and where it is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.brief import brief
from bptt.checks import Array, check_choice, check_number
from bptt.diagnostics.exact import check_network, check_real
from bptt.diagnostics.exact import in_float64 as in_float64  # others look for it here
from bptt.diagnostics.norms import last_axis_norm, log_ratio
from bptt.diagnostics.steps_back import steps_back
from bptt.engine import reference
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput
from bptt.network import Network
from bptt.network.readout import read_backward
from bptt.network.reversal import reversal, reverse
from bptt.network.weights import step_weights
from bptt.network.windowed import WindowTape
from bptt.plots import curves, path_lengths

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What a step does to the norm of the gradient, in the order in which it does it; then what its outputs add.
PARTS = ("gates", "saturation", "weights", "arrivals")


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """Norms of the gradient with respect to each state and each gate, and what changes them from step to step.

    Attributes
    ----------
    loss : float
    norms : dict of str to ndarray (T + 1, B)
        By layer and state, ``"layers.0.h"``: the norm of each row's dL/d(state after t steps), t = 0..T, float64.
        Everything that the state leads to is included. In the reverse direction t counts steps as they are run.
    gates : dict of str to ndarray (T, B)
        By layer and pre-activation, ``"layers.0.a_f"``: the norm of dL/da_t at index t - 1, so that index t belongs to
        x[t]. A gate whose parts are kept apart has two (``a_xn``, ``a_hn``).
    gains : dict of str to ndarray (T, B)
        By layer and part, ``"layers.0.saturation"``: natural logarithm of what each step multiplies the norm of all
        the layer's states by, from state t + 1 to state t at index t. See `gradient_flow`.
    """

    loss: float
    norms: dict[str, Array]
    gates: dict[str, Array] = field(default_factory=dict)
    gains: dict[str, Array] = field(default_factory=dict)

    __repr__ = brief

    def of_layer(self, prefix: str = "layers.0.") -> Array:
        """Return the norm (T + 1, B) of all the states of one layer together."""
        found = _of(self.norms, prefix)
        return last_axis_norm(np.stack(list(found.values()), axis=-1))

    def medians(self, prefix: str = "layers.0.") -> Array:
        """Return the median over the rows of `of_layer`, (T + 1,)."""
        return np.asarray(np.median(self.of_layer(prefix), axis=1))

    def gate_medians(self, prefix: str = "layers.0.") -> dict[str, Array]:
        """Return the median over the rows of each gate's norm, (T,), by the gate's bare name."""
        return {name: np.median(each, axis=1) for name, each in _of(self.gates, prefix).items()}

    def decades(self, prefix: str = "layers.0.") -> dict[str, float]:
        """Return the powers of ten that each part multiplied the gradient by from the last state to the first.

        A mean over the rows. Together they are log10 of the first state's norm over the last one's, or over that of
        the last state that has a gradient. -inf where a row lost all of it.
        """
        found = _of(self.gains, prefix)
        return {part: float(np.mean(found[part].sum(axis=0)) / np.log(10)) for part in PARTS}

    def shares(self, prefix: str = "layers.0.") -> dict[str, float]:
        """Return which share of what is lost was lost to gates, to saturation and to the recurrent weights.

        Of the decades that the losing parts lose together; a part that makes the gradient larger has share 0. Nan where
        nothing is lost.
        """
        all_parts = self.decades(prefix)
        lost = {part: max(0.0, -all_parts[part]) for part in PARTS[:3]}
        if np.isinf(sum(lost.values())):
            lost = {part: float(np.isinf(loss)) for part, loss in lost.items()}
        total = sum(lost.values())
        return {part: loss / total if total else np.nan for part, loss in lost.items()}

    def horizon(self, prefix: str = "layers.0.", *, level: float = 0.01) -> int | None:
        """Return after how many steps back the gradient stays below `level` times its size at the last state.

        Of `medians`; None where that does not happen within the sequence.
        """
        threshold = check_number("level", level, above=0.0)
        back = self.medians(prefix)[::-1]
        return first_below(back / back[0], threshold) if back[0] > 0 else None

    def plot(self, prefix: str = "layers.0.", *, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw `medians`; `look` as for `bptt.plots.path_lengths`."""
        given = {"quantity": "|dL/dh_t|, median", "x_label": "step t", **look}
        return path_lengths({prefix: self.medians(prefix)}, ax=ax, **given)

    def plot_gates(self, prefix: str = "layers.0.", *, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw `gate_medians`, one line a gate; `look` as for `bptt.plots.curves`."""
        given = {"x_label": "step t", "y_label": "|dL/da_t|, median", "log": True, "first": 1, **look}
        return curves(self.gate_medians(prefix), ax=ax, **given)

    def plot_losses(self, prefix: str = "layers.0.", *, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw the decades won (above 0) and lost (below) since the last step, by part; `look` as for `curves`."""
        found = _of(self.gains, prefix)
        lines = {}
        for part in PARTS:
            back = np.cumsum(found[part].mean(axis=1)[::-1])[::-1] / np.log(10)
            if part in ("saturation", "weights") or back.any():
                lines[part] = np.append(back, 0.0)
        lines["all together"] = np.sum(list(lines.values()), axis=0)
        given = {"x_label": "step t", "y_label": "decades since the last step", "level": 0.0, **look}
        return curves(lines, ax=ax, **given)


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
    """Return the norm of the loss's gradient with respect to every state and gate, and what each step does to it.

    Parameters
    ----------
    net : Network
        Any cell, stack and direction; without feedback. Nothing is dropped out.
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
        A network with feedback; shapes that do not fit.

    Notes
    -----
    The sweep back is the engine's own, with ``want={"states"}``. A loss that is a mean over the rows has gradients 1/B
    of one row's own: the shape over t is what counts.

    One step back takes the gradient u of all the layer's states through linear maps. Their effect on its norm is ::

        log |u_t| - log |u_(t+1)| = gates_t + saturation_t + weights_t + arrivals_t

    With E the formulas' Jacobian, E* the same with the slope of every activation at its largest (1 for tanh and relu,
    1/4 for the sigmoid), and W the transposed weights: gates is ``log(|E* u| / |u|)``, saturation
    ``log(|E u| / |E* u|)``, weights ``log(|W E u| / |E u|)``, and arrivals what the output of step t adds. The vectors
    are all that is still on its way to the states before: pre-activations that a state leads to, and what formulas
    pass on by themselves.
    docs/diagnostics.md derives it, for cells of several stages too.
    """
    if check_network(net).feedback:
        raise InvalidInput(
            "net must be without feedback, so that all of the loss comes over the states. Got feedback=True"
        )
    exact, used = in_float64(net, parameters)
    record = exact.forward(check_real("x", x), state, lengths, parameters=used)
    counted = step_weights(weights, lengths, record.y_hat.shape)
    loss, dy_hat = net.loss.value_and_gradient(record.y_hat, check_real("y", y), counted)
    with one_blas_thread():
        return GradientFlow(float(loss), *_sweep(exact, record.tape, dy_hat))


def first_below(ratios: Array, level: float) -> int | None:
    """Return the first index from which on all numbers are below `level`; None if the last one is not."""
    above = np.flatnonzero(~(ratios < level))
    first = int(above[-1]) + 1 if above.size else 0
    return first if first < len(ratios) else None


def _of(store: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Return the entries of a layer by their bare names."""
    found = {
        name[len(prefix) :]: each for name, each in store.items() if name[: name.rindex(".") + 1] == prefix
    }
    if not found:
        check_choice("prefix", prefix, sorted({name[: name.rindex(".") + 1] for name in store}))
    return found


def _arrivals(
    arriving: Array | None, whole: Array, before: Array, lengths: npt.NDArray[np.int64] | None
) -> Array:
    """Return the logarithm (T, B) of what each step's output makes of the norm: at index t that of output t - 1."""
    found = np.zeros_like(before)
    if arriving is not None:
        adds = arriving[:-1].any(axis=2)
        if lengths is not None:
            adds &= np.arange(1, len(before))[:, None] < lengths
        found[1:] = np.where(adds, log_ratio(whole[1:-1], before[1:]), 0.0)
    return found


def _sweep(
    net: Network, tape: WindowTape, dy_hat: Array
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Go back through the layers from the top, keeping norms and gains of each."""
    stack, every = net.recurrent, net.readout == "every"
    T, H, n = tape.stack.steps, stack.hidden_size, len(stack.directions)
    order = reversal(tape.stack.lengths, T)
    dy = dy_hat.transpose(1, 0, 2) if every else dy_hat
    _, dfeatures, _ = read_backward(net, tape.parameters, tape.readout, dy)
    dh: Array | None = dfeatures if every else None
    norms: dict[str, Array] = {}
    gates: dict[str, Array] = {}
    gains: dict[str, Array] = {}
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
            prefix = stack.prefixes[k]
            norms.update({prefix + name: last_axis_norm(each) for name, each in swept.states.items()})
            steps = steps_back(tape.stack.tapes[k], {name: each[1:] for name, each in swept.states.items()})
            gates.update({prefix + name: each for name, each in steps.gates.items()})
            whole = last_axis_norm(np.concatenate(list(swept.states.values()), axis=2))
            arrivals = _arrivals(arriving, whole, steps.before, tape.stack.lengths)
            parts = (steps.gates_gain, steps.saturation, steps.weights, arrivals)
            gains.update({prefix + part: each for part, each in zip(PARTS, parts, strict=True)})
            dx = reverse(swept.x, order) if direction == "reverse" else swept.x
            below = dx if below is None else below + dx
        dh = below
    return dict(sorted(norms.items())), dict(sorted(gates.items())), gains
