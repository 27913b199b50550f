"""Free running: a trained network fed with its own predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput
from bptt.network.design import Design
from bptt.network.linear import linear_last
from bptt.network.readout import read
from bptt.network.records import Pass

Array = npt.NDArray[Any]
Parameters = Mapping[str, Array]
# `Network.forward`
Forward = Callable[..., Pass]


def generate(net: Design, parameters: Parameters, forward: Forward, x0: npt.ArrayLike, steps: int) -> Array:
    """Return (B, steps, K); see `Network.generate`."""
    D, K = net.input_size, net.output_size
    if net.loss.outputs_are:
        raise InvalidInput(
            f"generate feeds predictions back as inputs. Got a network of {net.loss.kind}, whose outputs are "
            f"{net.loss.outputs_are}"
        )
    if net.feedback:
        if D:
            raise InvalidInput(
                f"generate cannot know the other inputs of the coming steps: this network reads D = {D} columns "
                "beside what is fed back. Pass them to forward"
            )
        start = check_array("x0", x0, [("B", None), ("K", K)], dtype=net.dtype)
        return _every(
            net, forward(np.zeros((len(start), steps, 0), net.dtype), y_start=start, tape=False).y_hat
        )
    if D != K:
        raise InvalidInput(
            f"generate feeds predictions back as inputs and needs K = D. Got K = {K} and D = {D}"
        )
    if net.recurrent.direction != "forward":
        raise InvalidInput(f"generate must run forward in time. Got a {net.recurrent.direction} network")
    window = check_array("x0", x0, [("B", None), ("T", None), ("D", D)], dtype=net.dtype)
    if net.readout == "last":
        return _sliding(forward, window, steps)
    return _carried(net, parameters, forward, window, steps)


def _sliding(forward: Forward, window: Array, steps: int) -> Array:
    """Predict from a window (B, T, D) that moves on by one step a time, each time from the starting state."""
    produced = []
    for _ in range(steps):
        newest = forward(window, tape=False).y_hat
        produced.append(newest)
        window = np.concatenate([window[:, 1:], newest[:, None]], axis=1)
    return np.stack(produced, axis=1)


def _carried(net: Design, parameters: Parameters, forward: Forward, history: Array, steps: int) -> Array:
    """Predict from the history (B, T, D) once, then step by step from the carried state."""
    now = forward(history, tape=False)
    newest, state = now.y_hat[:, -1], now.state
    produced = [newest]
    W_xy = parameters.get("linear.W_xy")
    own = {name: parameters[name] for name in net.recurrent.parameters}
    tail = history.transpose(1, 0, 2)  # the linear path sees further back than the one new row
    with one_blas_thread():
        for _ in range(steps - 1):
            h, state, _ = net.recurrent.run(newest[None], state, None, parameters=own, tape=False)
            linear = None
            if W_xy is not None:
                tail = np.concatenate([tail, newest[None]])[-net.linear_lags :]
                linear = linear_last(tail, np.full(len(newest), len(tail) - 1), W_xy)
            newest, _ = read(net, parameters, cast(Array, h)[0], linear, newest)
            produced.append(newest)
    return np.stack(produced, axis=1)


def _every(net: Design, y_hat: Array) -> Array:
    if net.readout == "last":
        raise InvalidInput(
            "generate needs readout='every' with feedback, to show each step. Got readout='last'"
        )
    return y_hat
