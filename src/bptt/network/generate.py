"""Free running: a trained network fed with its own predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array
from bptt.errors import InvalidInput

if TYPE_CHECKING:
    from bptt.network.network import Network

Array = npt.NDArray[Any]


def generate(net: Network, x0: npt.ArrayLike, steps: int) -> Array:
    """Return (B, steps, K); see `Network.generate`."""
    D, K = net.input_size, net.output_size
    if net.feedback:
        if D:
            raise InvalidInput(
                f"generate cannot know the other inputs of the coming steps: this network reads D = {D} columns "
                "beside what is fed back. Pass them to forward"
            )
        start = check_array("x0", x0, [("B", None), ("K", K)], dtype=net.dtype)
        return _every(
            net, net.forward(np.zeros((len(start), steps, 0), net.dtype), y_start=start, tape=False).y_hat
        )
    if D != K:
        raise InvalidInput(
            f"generate feeds predictions back as inputs and needs K = D. Got K = {K} and D = {D}"
        )
    if net.recurrent.direction != "forward":
        raise InvalidInput(f"generate must run forward in time. Got a {net.recurrent.direction} network")
    window = check_array("x0", x0, [("B", None), ("T", None), ("D", D)], dtype=net.dtype)
    produced = []
    if net.readout == "last" or net.linear_lags:
        for _ in range(steps):
            y_hat = net.forward(window, tape=False).y_hat
            newest = y_hat if net.readout == "last" else y_hat[:, -1]
            produced.append(newest)
            window = np.concatenate([window[:, 1:], newest[:, None]], axis=1)
        return np.stack(produced, axis=1)
    now = net.forward(window, tape=False)
    newest = now.y_hat[:, -1]
    produced.append(newest)
    for _ in range(steps - 1):
        now = net.forward(newest[:, None], now.state, tape=False)
        newest = now.y_hat[:, -1]
        produced.append(newest)
    return np.stack(produced, axis=1)


def _every(net: Network, y_hat: Array) -> Array:
    if net.readout == "last":
        raise InvalidInput(
            "generate needs readout='every' with feedback, to show each step. Got readout='last'"
        )
    return y_hat
