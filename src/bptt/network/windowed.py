"""Passes of a network whose inputs are all known beforehand: the whole window goes through the stack at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from bptt.network.design import Design
from bptt.network.linear import linear_every, linear_every_backward, linear_last, linear_last_backward
from bptt.network.readout import ReadoutTape, add_change_backward, read, read_backward
from bptt.network.records import Gradients, Pass, StackTape, State

Array = npt.NDArray[Any]
Lengths = npt.NDArray[np.int64] | None


@dataclass(frozen=True)
class WindowTape:
    """What the sweep back needs: the input (T, B, D), each row's last step (B,), and the parts' tapes."""

    parameters: Mapping[str, Array]
    x: Array
    last: npt.NDArray[np.int64]
    active: npt.NDArray[np.bool_] | None
    stack: StackTape
    readout: ReadoutTape
    state_given: frozenset[str]


def forward(
    net: Design,
    parameters: Mapping[str, Array],
    x: Array,
    state0: State | None,
    lengths: Lengths,
    state_given: frozenset[str],
    dropout_key: tuple[int, int] | None,
    tape: bool,
) -> Pass:
    """Predict from x (T, B, D)."""
    T, B, _ = x.shape
    stack = net.recurrent
    every = net.readout == "every"
    h, state, stack_tape = stack.run(
        x, state0, lengths, parameters=_stack_part(net, parameters), dropout_key=dropout_key,
        outputs="all" if every else "last", tape=tape,
    )  # fmt: skip
    last = np.full(B, T - 1) if lengths is None else lengths - 1
    active = None if lengths is None or not every else (np.arange(T)[:, None] < lengths)[:, :, None]
    x = _without_padding(x, lengths, contiguous=tape)
    linear = None
    W_xy = parameters.get("linear.W_xy")
    if W_xy is not None:
        linear = linear_every(x, W_xy) if every else linear_last(x, last, W_xy)
    features = cast(Array, h) if every else _final_features(net, state)
    # Only a change adds to the newest inputs; of many short windows their gathering is a share of the time.
    last_x = x if every else None if net.change_of is None else x[last, np.arange(B)]
    y_hat, readout_tape = read(net, parameters, features, linear, last_x)
    if active is not None:
        y_hat = np.where(active, y_hat, np.zeros((), y_hat.dtype))
    record = None
    if tape:
        record = WindowTape(
            parameters, x, last, active, cast(StackTape, stack_tape), readout_tape, state_given
        )
    return Pass(y_hat.transpose(1, 0, 2) if every else y_hat, state, record)


def backward(net: Design, record: Pass, dy_hat: Array, dstate: State | None, want_x: bool) -> Gradients:
    """Sweep back; dy_hat has y_hat's shape."""
    tape: WindowTape = record.tape
    every = net.readout == "every"
    dy = dy_hat.transpose(1, 0, 2) if every else dy_hat
    if tape.active is not None:
        dy = np.where(tape.active, dy, np.zeros((), dy.dtype))
    parameters = tape.parameters
    found, dfeatures, da_y = read_backward(net, parameters, tape.readout, dy)
    dh = dfeatures if every else None
    total = dstate if every else _with_features(net, dstate, dfeatures)
    want = {"parameters", "state0", *({"x"} if want_x else ())}
    stack = net.recurrent.sweep(tape.stack, dh, total, want=want)
    gradients = {**stack.parameters, **found}
    dx = stack.x
    if "linear.W_xy" in parameters:
        W_xy = parameters["linear.W_xy"]
        if every:
            gradients["linear.W_xy"], dlinear = linear_every_backward(tape.x, W_xy, da_y)
        else:
            gradients["linear.W_xy"], dlinear = linear_last_backward(tape.x, tape.last, W_xy, da_y)
        dx = None if dx is None else dx + dlinear
    if dx is not None and net.change_of is not None:
        if every:
            add_change_backward(net, dx, dy)
        else:
            newest = np.zeros(dx.shape[1:], dx.dtype)
            add_change_backward(net, newest, dy)
            dx[tape.last, np.arange(dx.shape[1])] += newest
    if net.learned_initial_state:
        for name, d in cast(State, stack.state).items():
            # A state that was handed in took the learned one's place.
            gradients[f"initial.{name}"] = (
                np.zeros_like(d[:, 0]) if name in tape.state_given else d.sum(axis=1)
            )
    ordered = {name: gradients[name] for name in parameters}
    return Gradients(ordered, None if dx is None else dx.transpose(1, 0, 2), stack.state)


def _stack_part(net: Design, parameters: Mapping[str, Array]) -> dict[str, Array]:
    return {name: parameters[name] for name in net.recurrent.parameters}


def _without_padding(x: Array, lengths: Lengths, *, contiguous: bool) -> Array:
    if lengths is None:
        return np.ascontiguousarray(x) if contiguous else x
    return np.where((np.arange(len(x))[:, None] < lengths)[:, :, None], x, np.zeros((), x.dtype))


def _final_features(net: Design, state: State) -> Array:
    """Return the final outputs of the top layer, both directions side by side (B, H * directions)."""
    top = state["h"][-len(net.recurrent.directions) :]
    return np.concatenate(list(top), axis=1)


def _with_features(net: Design, dstate: State | None, dfeatures: Array) -> State:
    """Return dL/d(final state) with the readout's part added to the top layer's output."""
    stack = net.recurrent
    shape = stack.state_shape(len(dfeatures))
    total = {name: np.zeros(shape, dfeatures.dtype) for name in stack.states}
    for name, d in (dstate or {}).items():
        total[name] += d
    n, H = len(stack.directions), stack.hidden_size
    for k in range(n):
        total["h"][shape[0] - n + k] += dfeatures[:, k * H : (k + 1) * H]
    return total
