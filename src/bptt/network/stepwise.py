"""What makes a stream's steps: compiled kernels where the engine has them, else the stack's own pass, step by step.

Both keep the newest rows (S, R, I) that the first layer read, R = max(linear_lags, 1) and I its input size, and have
`x`, `y` and `advance(argument)`: the caller fills x (S, D), calls, and finds the predictions in y (S, K).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from bptt.checks import Array
from bptt.engine import get_engine
from bptt.engine.blas import one_blas_thread
from bptt.network.design import Design
from bptt.network.readout import read
from bptt.network.records import State


class Runner(Protocol):
    """The streams' memory and their next step; shapes as in `bptt.network.stream`."""

    x: Array
    y: Array
    rows: Array
    fed: Array
    clock: npt.NDArray[np.int64]
    argument: int

    @property
    def advance(self) -> Callable[[int], int]:
        """Make a step and return 0; return 1, with nothing changed, where a number of x is not finite."""

    def push(self, x: Array) -> Array | None:
        """Make a step for each of x (S, T, D); return y (S, T, K), or None, with nothing changed, if it was refused."""

    def read_state(self) -> State:
        """Return a copy of the states, each (L, S, H)."""

    def write_state(self, state: Mapping[str, Array]) -> None:
        """Set states, each (L, S, H)."""


Load = Callable[[Mapping[str, Array]], None]


def open_runner(net: Design, streams: int) -> tuple[Runner, Load]:
    """Return what runs `streams` streams of a network, and the function that hands it the network's parameters."""
    open_stream = getattr(get_engine(net.recurrent.engine), "CompiledStream", None)
    if open_stream is None:
        steps = Steps(net, streams)
        return steps, steps.load
    stack = net.recurrent
    runner = open_stream(
        stack.cell,
        stack.dtype,
        streams=streams,
        inputs=net.input_size,
        hidden=stack.hidden_size,
        outputs=net.output_size,
        layers=stack.num_layers,
        lags=net.linear_lags,
        activation=net.output_activation,
        change_of=net.change_of,
        change_scale=net.change_scale,
        feedback=net.feedback,
    )

    def load(parameters: Mapping[str, Array]) -> None:
        runner.read_weights(
            [stack._of_layer(parameters, prefix) for prefix in stack.prefixes],
            parameters["readout.W_hy"],
            parameters.get("readout.b_y"),
            parameters.get("linear.W_xy"),
        )

    return runner, load


class Steps:
    """Steps by `Recurrent.run`, with any engine."""

    def __init__(self, net: Design, streams: int) -> None:
        self._net = net
        stack, K = net.recurrent, net.output_size
        self._state = stack.zero_state(streams)
        self._parameters: dict[str, Array] = {}
        self.x = np.zeros((streams, net.input_size), net.dtype)
        self.y = np.zeros((streams, K), net.dtype)
        self.rows = np.zeros((streams, max(net.linear_lags, 1), stack.input_size), net.dtype)
        self.fed = np.zeros((streams, K), net.dtype)
        self.clock = np.zeros(1, np.int64)
        self.argument = 0

    def load(self, parameters: Mapping[str, Array]) -> None:
        """Keep a copy of the network's parameters."""
        self._parameters = {name: np.array(p) for name, p in parameters.items()}

    def advance(self, argument: int) -> int:  # noqa: ARG002  # what a kernel needs to be told
        """Make a step and return 0; return 1, with nothing changed, where a number of x is not finite."""
        y = self.push(self.x[:, None])
        if y is None:
            return 1
        self.y[...] = y[:, 0]
        return 0

    def push(self, x: Array) -> Array | None:
        """Make a step for each of x (S, T, D); return y (S, T, K), or None, with nothing changed, if it was refused."""
        if not np.isfinite(x).all():
            return None
        net, parameters = self._net, self._parameters
        own = {name: parameters[name] for name in net.recurrent.parameters}
        W_xy = parameters.get("linear.W_xy")
        rows, state, fed = self.rows, self._state, self.fed
        S, T, _ = x.shape
        y = np.empty((S, T, net.output_size), net.dtype)
        with one_blas_thread():
            for t in range(T):
                newest = np.concatenate([x[:, t], fed], axis=1) if net.feedback else x[:, t]
                rows = np.concatenate([rows[:, 1:], newest[:, None]], axis=1)
                h, state, _ = net.recurrent.run(newest[None], state, None, parameters=own, tape=False)
                linear = None if W_xy is None else rows.reshape(S, -1) @ W_xy
                fed, _ = read(net, parameters, cast(Array, h)[0], linear, newest)
                y[:, t] = fed
        # Only now: an interrupt must not leave a stream between two steps.
        self.rows[...], self.fed[...], self._state = rows, fed, state
        self.clock += T
        return y

    def read_state(self) -> State:
        """Return a copy of the states, each (L, S, H)."""
        return {name: array.copy() for name, array in self._state.items()}

    def write_state(self, state: Mapping[str, Array]) -> None:
        """Set states, each (L, S, H)."""
        self._state = {**self._state, **{name: array.copy() for name, array in state.items()}}
