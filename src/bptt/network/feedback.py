"""Passes of a network whose output is part of its next input: one step after another, the readout inside the loop.

Step t reads [x_t, y_hat_{t-1}]. The gradient of a prediction therefore arrives from the loss *and* from the next
step's input, which is what training with teacher forcing leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from bptt.network.design import Design
from bptt.network.readout import ReadoutTape, add_change_backward, read, read_backward
from bptt.network.records import Gradients, Pass, StackTape, State

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class FeedbackTape:
    """One stack tape and one readout tape a step."""

    parameters: Mapping[str, Array]
    stacks: tuple[StackTape, ...]
    readouts: tuple[ReadoutTape, ...]
    state_given: frozenset[str]


def forward(
    net: Design,
    parameters: Mapping[str, Array],
    x: Array,
    state0: State | None,
    y_start: Array | None,
    state_given: frozenset[str],
    dropout_key: tuple[int, int] | None,
) -> Pass:
    """Predict from x (T, B, D) and what is fed back."""
    T, B, _ = x.shape
    stack = net.recurrent
    own = {name: parameters[name] for name in stack.parameters}
    y_prev = np.zeros((B, net.output_size), net.dtype) if y_start is None else y_start
    state: State = state0 if state0 is not None else stack.zero_state(B)
    outputs, stacks, readouts = [], [], []
    for t in range(T):
        fed = np.concatenate([x[t], y_prev], axis=1)
        # A key a step: one mask for all steps would silence the same units throughout.
        key = None if dropout_key is None else (dropout_key[0], dropout_key[1] << 32 | t)
        h, state, stack_tape = stack.run(fed[None], state, None, parameters=own, dropout_key=key)
        y_prev, readout_tape = read(net, parameters, cast(Array, h)[0], None, fed)
        outputs.append(y_prev)
        stacks.append(cast(StackTape, stack_tape))
        readouts.append(readout_tape)
    y_hat = np.stack(outputs, axis=1) if net.readout == "every" else outputs[-1]
    return Pass(y_hat, state, FeedbackTape(parameters, tuple(stacks), tuple(readouts), state_given))


def backward(net: Design, record: Pass, dy_hat: Array, dstate: State | None, want_x: bool) -> Gradients:
    """Sweep back through the loop; dL/dy_start is what is still on its way to the step before the first."""
    tape: FeedbackTape = record.tape
    parameters, T, D = tape.parameters, len(tape.stacks), net.input_size
    total = {name: np.zeros_like(p, dtype=dy_hat.dtype) for name, p in parameters.items()}
    dx: list[Array] = []
    dfed_back: Array | float = 0.0
    for t in range(T - 1, -1, -1):
        from_loss = dy_hat[:, t] if net.readout == "every" else (dy_hat if t == T - 1 else 0.0)
        dy = np.asarray(from_loss + dfed_back)
        found, dfeatures, _ = read_backward(net, parameters, tape.readouts[t], dy)
        step = net.recurrent.sweep(tape.stacks[t], dfeatures[None], dstate)
        for name, gradient in {**step.parameters, **found}.items():
            total[name] += gradient
        dfed = cast(Array, step.x)[0]
        add_change_backward(net, dfed, dy)
        dx.append(dfed[:, :D])
        dfed_back = dfed[:, D:]
        dstate = cast(State, step.state)
    if net.learned_initial_state:
        for name, d in cast(State, dstate).items():
            if name in tape.state_given:
                continue
            total[f"initial.{name}"] = d.sum(axis=1)
    return Gradients(total, np.stack(dx[::-1], axis=1) if want_x else None, dstate, cast(Array, dfed_back))
