"""Gradients by the length of their paths: which part came over how many steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.brief import brief
from bptt.checks import Array, check_choice, check_whole
from bptt.diagnostics.age_sums import Sums, SumsByAge, TotalSums
from bptt.diagnostics.age_sweep import sweep_by_age
from bptt.diagnostics.aged import Aged, Steps, at_the_end, columns, newborn, plus, turned
from bptt.diagnostics.exact import check_network, check_real, in_float64
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput
from bptt.network import Network
from bptt.network.linear import linear_every_backward, linear_last_backward
from bptt.network.readout import read_backward
from bptt.network.reversal import reversal, reverse
from bptt.network.weights import step_weights
from bptt.network.windowed import WindowTape
from bptt.plots import path_lengths

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class PathLengths:
    """A gradient, apart by the number of hidden-to-hidden Jacobians that its paths cross.

    Attributes
    ----------
    loss : float
    parts : dict of parameter name to ndarray (N, ...) with the shape of the parameter
        ``parts[name][k]`` is what came over exactly k Jacobians, k = 0..N-1, float64.
    """

    loss: float
    parts: dict[str, Array]

    __repr__ = brief

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The path lengths k, (N,)."""
        return np.arange(len(next(iter(self.parts.values()))))

    def up_to(self, longest: int) -> dict[str, Array]:
        """Return the gradient of the paths of at most `longest` Jacobians: truncated per output, a sliding window."""
        kept = check_whole("longest", longest, least=0) + 1
        return {name: part[:kept].sum(axis=0) for name, part in self.parts.items()}

    def total(self) -> dict[str, Array]:
        """Return the sum of the parts: the full gradient where no path was left out."""
        return {name: part.sum(axis=0) for name, part in self.parts.items()}

    def mean_abs(self, name: str) -> Array:
        """Return the mean absolute entry of a parameter's parts (N,): what the digit assignment asks to be drawn."""
        part = self.parts[check_choice("name", name, self.parts)]
        return np.asarray(np.abs(part).reshape(len(part), -1).mean(axis=1))

    def norms(self, name: str) -> Array:
        """Return the Euclidean norm of a parameter's parts (N,)."""
        part = self.parts[check_choice("name", name, self.parts)]
        return np.asarray(np.linalg.norm(part.reshape(len(part), -1), axis=1))

    def plot(self, name: str = "layers.0.W_hh", *, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw `mean_abs` of a parameter against the path length; `look` as for `bptt.plots.path_lengths`."""
        return path_lengths({name: self.mean_abs(name)}, ax=ax, **look)


def gradient_by_path_length(
    net: Network,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    lengths: npt.ArrayLike | None = None,
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
    longest: int | None = None,
) -> PathLengths:
    """Return each parameter's gradient apart by the number of hidden-to-hidden Jacobians that its paths cross.

    Parameters
    ----------
    net : Network
        Any cell, stack and direction; without feedback. Nothing is dropped out.
    x : array_like (B, T, D)
    y, weights, lengths, state, parameters
        As for `Network.loss_and_gradients`. Weights (B, T) choose outputs: with all but the last step's at 0, what is
        left is the loss at the last step, and the sweep costs no more than an ordinary one.
    longest : int, optional
        Longer paths are left out, and not computed.

    Returns
    -------
    PathLengths
        Its parts add up to the full gradient, to rounding; with `longest` to the gradient truncated per output.

    Raises
    ------
    InvalidInput, InvalidType
        A network with feedback; shapes that do not fit.

    Notes
    -----
    With L_s the loss at output s and theta_t the parameters as step t uses them, ::

        part k of dL/dtheta = sum_{s - t = k} dL_s/dtheta_t

    in a stack that runs forward. A path goes down through the layers at one step without a Jacobian of its own; in the
    reverse direction it goes from t to t + 1. The readout and the linear path have paths of length 0 alone, a learned
    initial state those from step t over t + 1 Jacobians. The state's Jacobian is that of all the cell's states
    together: d(h_t, c_t) / d(h_(t-1), c_(t-1)) is one.

    The arithmetic is that of about T / 2 sweeps for a loss at every step, in float64 whatever the network's dtype. The
    parts take N times the parameters' memory, N = T in a stack that runs forward.
    """
    kept = None if longest is None else check_whole("longest", longest, least=0)
    run = Run(net, x, y, weights, lengths, state, parameters)
    found = run.sweep(kept, apart=True)
    return PathLengths(run.loss, found)


def sliding_gradient(
    net: Network,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    truncate: int,
    weights: npt.ArrayLike | None = None,
    lengths: npt.ArrayLike | None = None,
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
) -> tuple[float, dict[str, Array]]:
    """Return the loss and its gradient truncated per output: every output looks back over `truncate` steps.

    It is the sum of the parts of `gradient_by_path_length` with at most `truncate` Jacobians, without keeping them
    apart: the `bptt_truncate` of the digit assignment.

    Parameters
    ----------
    truncate : int
        Jacobians that a path may cross; 0 is the step of the output alone.
    net, x, y, weights, lengths, state, parameters
        As for `gradient_by_path_length`.

    Returns
    -------
    loss : float
    gradients : dict of parameter name to ndarray
        float64, of the parameters' shapes.
    """
    run = Run(net, x, y, weights, lengths, state, parameters)
    found = run.sweep(check_whole("truncate", truncate, least=0), apart=False)
    return run.loss, {name: part[0] for name, part in found.items()}


class Run:
    """A forward pass of the reference engine in float64, and what its loss sends to the stack."""

    def __init__(
        self, net: Network, x: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None,
        lengths: npt.ArrayLike | None, state: Mapping[str, npt.ArrayLike] | None,
        parameters: Mapping[str, Array] | None,
    ) -> None:  # fmt: skip
        if check_network(net).feedback:
            raise InvalidInput(
                "net must be without feedback: a path through an output that is fed back crosses no one "
                "hidden-to-hidden Jacobian. Got feedback=True"
            )
        self.net, used = in_float64(net, parameters)
        record = self.net.forward(check_real("x", x), state, lengths, parameters=used)
        counted = step_weights(weights, lengths, record.y_hat.shape)
        self.loss, self.dy_hat = net.loss.value_and_gradient(record.y_hat, check_real("y", y), counted)
        self.tape: WindowTape = record.tape

    def sweep(self, longest: int | None, *, apart: bool) -> dict[str, Array]:
        """Return the parts of each parameter's gradient, or one entry with their sum."""
        with one_blas_thread():
            direct, arriving = self.head()
            stack = _Stack(self.net, self.tape, longest, apart)
            parts = stack.sweep(arriving)
        count = max(len(part) for part in (*parts.values(), *(d[None] for d in direct.values())))
        for name, d in direct.items():
            parts[name] = d[None]
        return {name: _lengthened(parts[name], count) for name in self.tape.parameters}

    def head(self) -> tuple[dict[str, Array], list[Steps]]:
        """Return the gradients of readout and linear path, and what arrives at the top layer, per direction."""
        net, tape = self.net, self.tape
        stack, every = net.recurrent, net.readout == "every"
        T, H = len(tape.x), stack.hidden_size
        dy = self.dy_hat.transpose(1, 0, 2) if every else self.dy_hat
        found, dfeatures, da_y = read_backward(net, tape.parameters, tape.readout, dy)
        W_xy = tape.parameters.get("linear.W_xy")
        if W_xy is not None and every:
            found["linear.W_xy"], _ = linear_every_backward(tape.x, W_xy, da_y)
        elif W_xy is not None:
            found["linear.W_xy"], _ = linear_last_backward(tape.x, tape.last, W_xy, da_y)
        lengths = tape.stack.lengths
        order = reversal(lengths, T)
        arriving = []
        for d, direction in enumerate(stack.directions):
            share = dfeatures[..., d * H : (d + 1) * H]
            if not every:
                arriving.append(at_the_end(share, lengths, T))
            else:
                arriving.append(newborn(reverse(share, order) if direction == "reverse" else share))
        return found, arriving


class _Stack:
    """The sweep through all layers and directions, from the top down."""

    def __init__(self, net: Network, tape: WindowTape, longest: int | None, apart: bool) -> None:
        self.net, self.tape, self.apart = net, tape.stack, apart
        self.given = tape.state_given
        self.longest = longest

    def sweep(self, arriving: list[Steps]) -> dict[str, Array]:
        """Return the parts of the layers' parameters, and of the learned initial state."""
        stack = self.net.recurrent
        T, n = self.tape.steps, len(stack.directions)
        order = reversal(self.tape.lengths, T)
        parts: dict[str, Array] = {}
        initial: dict[str, list[Aged | None]] = {name: [None] * len(stack.prefixes) for name in stack.states}
        oldest = 0  # of what arrives at the layer
        for layer in range(stack.num_layers - 1, -1, -1):
            below: Steps = [None] * T
            # Forward alone, a path cannot be older than the sequence is long; both ways it turns back at each layer.
            bound = T - 1 + (oldest if n > 1 else 0)
            longest = bound + 1 if self.longest is None else self.longest
            for d, direction in enumerate(stack.directions):
                k = layer * n + d
                tape = self.tape.tapes[k]
                sums: Sums = SumsByAge(tape, min(bound, longest) + 1) if self.apart else TotalSums(tape)
                dx, dstate0 = sweep_by_age(tape, arriving[d], sums, longest=longest, want_x=layer > 0)
                for name, part in sums.parts.items():
                    parts[stack.prefixes[k] + name] = self._pulled_back(stack.prefixes[k], name, part)
                for name, entry in dstate0.items():
                    initial[name][k] = entry
                if layer > 0:
                    if direction == "reverse":
                        dx = turned(dx, order)
                    below = [plus(one, other) for one, other in zip(below, dx, strict=True)]
            if layer > 0:
                H = stack.hidden_size
                shares = [columns(below, slice(d * H, (d + 1) * H)) for d in range(n)]
                arriving = [
                    turned(share, order) if direction == "reverse" else share
                    for share, direction in zip(shares, stack.directions, strict=True)
                ]
                oldest = max((int(e.ages[0]) for e in below if e is not None), default=0)
        if self.net.learned_initial_state:
            parts.update(self._of_initial_state(initial))
        return parts

    def _pulled_back(self, prefix: str, name: str, part: Array) -> Array:
        """Return the parts with respect to what is trained, where a constraint stands in between."""
        stack = self.net.recurrent
        if stack.constraint is None or stack.cell.plan.weights.get(name, ("", 0))[0] != "h":
            return part
        trained = self.tape.trained[prefix + name]
        return np.stack([stack.constraint.pull_back(trained, each) for each in part])

    def _of_initial_state(self, initial: Mapping[str, list[Aged | None]]) -> dict[str, Array]:
        found = {}
        for name, entries in initial.items():
            oldest = max((int(e.ages[0]) for e in entries if e is not None), default=0)
            part = np.zeros((oldest + 1 if self.apart else 1, len(entries), self.net.recurrent.hidden_size))
            for k, entry in enumerate(entries):
                # A state that was handed in took the learned one's place.
                if entry is None or name in self.given:
                    continue
                if self.apart:
                    part[entry.ages, k] = entry.values.sum(axis=1)
                else:
                    part[0, k] = entry.values.sum(axis=(0, 1))
            found[f"initial.{name}"] = part
        return found


def _lengthened(part: Array, count: int) -> Array:
    """Return parts (N, ...) with zeros for the path lengths that this parameter does not have."""
    if len(part) == count:
        return part
    return np.concatenate([part, np.zeros((count - len(part), *part.shape[1:]))])
