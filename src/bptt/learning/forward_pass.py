"""A network that advances one step at a time and knows the derivative of its prediction by every parameter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bptt.activations import FUNCTIONS
from bptt.checks import Array, check_choice
from bptt.errors import InvalidInput, InvalidType
from bptt.learning.influence import KINDS, Influence
from bptt.network import Network
from bptt.network.linear import linear_last
from bptt.network.readout import ReadoutTape, read, read_backward


class ForwardPass:
    """The present of a network run forward in time, with its derivatives.

    Parameters
    ----------
    net : Network
        Forward in time, without dropout between layers and without feedback.
    state : mapping of state name to ndarray (L, B, H), optional
        The learned one, or zeros, where absent.
    batch : int
        B.
    kind : {"full", "diagonal"}
        See `Influence`.

    Notes
    -----
    Parameters are given at every step and may change between two: derivatives are then those of the path that the
    states really took, with respect to one shift of the parameters at all its steps.
    """

    def __init__(
        self,
        net: Network,
        batch: int,
        *,
        parameters: Mapping[str, Array],
        state: Mapping[str, Array] | None = None,
        kind: str = "full",
    ) -> None:
        self.net = check_net(net)
        check_choice("influence", kind, KINDS)
        self.batch = batch
        self.given = frozenset(state or ())
        full = net.recurrent.zero_state(batch)
        if net.learned_initial_state:
            for name in full:
                full[name][...] = parameters[f"initial.{name}"][:, None]
        for name, s in (state or {}).items():
            full[name][...] = s
        self.influence = Influence(net.recurrent, full, start=net.learned_initial_state, kind=kind)
        self.rows = np.zeros((max(net.linear_lags, 1), batch, net.input_size), net.dtype)
        self._tape: ReadoutTape | None = None

    @property
    def state(self) -> dict[str, Array]:
        """The present states, each (L, B, H)."""
        return self.influence.state

    def step(self, x: Array, parameters: Mapping[str, Array], active: Array | None = None) -> Array:
        """Advance by one row x (B, D) of each sequence; return the prediction (B, K)."""
        if active is not None:
            x = np.where(active[:, None], x, np.zeros((), x.dtype))
        newer = np.concatenate([self.rows[1:], x[None]])
        self.rows = newer if active is None else np.where(active[:, None], newer, self.rows)
        self.influence.step(x, parameters, active)
        y_hat, self._tape = self._read(self.state["h"][-1], self.rows, parameters)
        return y_hat

    def look_ahead(self, x: Array, parameters: Mapping[str, Array]) -> Array:
        """Return what `step` would predict, and stay."""
        stack = self.net.recurrent
        own = {name: parameters[name] for name in stack.parameters}
        _, after, _ = stack.run(x[None], self.state, None, parameters=own, outputs="last", tape=False)
        rows = np.concatenate([self.rows[1:], x[None]])
        return self._read(after["h"][-1], rows, parameters)[0]

    def gradients(
        self, dy_hat: Array, parameters: Mapping[str, Array], dstate: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """Return dL/dparameter, summed over rows, for dL/dy_hat (B, K) and dL/d(present state)."""
        assert self._tape is not None
        found, dh, da_y = read_backward(self.net, parameters, self._tape, dy_hat)
        d = {name: np.zeros_like(s) for name, s in self.state.items()}
        d["h"][-1] = dh
        for name, extra in (dstate or {}).items():
            d[name] = d[name] + extra
        found.update(self.influence.gradients(d, parameters))
        if "linear.W_xy" in parameters:
            found["linear.W_xy"] = self._window.T @ da_y
        return self._ordered(found, parameters)

    def jacobian(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Return dy_hat/dparameter, (B, K, *shape) each."""
        assert self._tape is not None
        net, K = self.net, self.net.output_size
        slope = FUNCTIONS[f"{net.output_activation}_derivative"](self._tape.activated)
        if net.change_of is not None:
            slope = slope * net.change_scale
        each = slope[:, :, None] * np.eye(K, dtype=slope.dtype)  # (B, K, K): dy_k / da_j
        d = {name: np.zeros((len(s), self.batch, K, s.shape[2]), s.dtype) for name, s in self.state.items()}
        d["h"][-1] = each @ parameters["readout.W_hy"].T
        found = self.influence.jacobian(d, parameters)
        found["readout.W_hy"] = self._tape.features[:, None, :, None] * each[:, :, None]
        if net.bias:
            found["readout.b_y"] = each
        if "linear.W_xy" in parameters:
            found["linear.W_xy"] = self._window[:, None, :, None] * each[:, :, None]
        return self._ordered(found, parameters)

    @property
    def _window(self) -> Array:
        """The newest rows, flattened (B, lags * D)."""
        return self.rows.transpose(1, 0, 2).reshape(self.batch, -1)

    def _read(self, h: Array, rows: Array, parameters: Mapping[str, Array]) -> tuple[Array, ReadoutTape]:
        linear = None
        if "linear.W_xy" in parameters:
            linear = linear_last(rows, np.full(self.batch, len(rows) - 1), parameters["linear.W_xy"])
        return read(self.net, parameters, h.copy(), linear, rows[-1])

    def _ordered(self, found: dict[str, Array], parameters: Mapping[str, Array]) -> dict[str, Array]:
        for name in self.given:
            if f"initial.{name}" in found:  # a state that was handed in took the learned one's place
                found[f"initial.{name}"] = np.zeros_like(found[f"initial.{name}"])
        return {name: found[name] for name in parameters}


def check_net(net: object) -> Network:
    """Return a network that real-time learning is defined for, or raise."""
    if not isinstance(net, Network):
        raise InvalidType(f"net must be a Network. Got {type(net).__name__}")
    stack = net.recurrent
    if stack.direction != "forward" or net.feedback or stack.dropout:
        raise InvalidInput(
            "net must run forward in time, without feedback and dropout, to learn as it goes. "
            f"Got direction {stack.direction!r}, feedback={net.feedback}, dropout = {stack.dropout:g}"
        )
    return net
