"""The gradient cut at the borders of chunks, to stand beside the one cut per output."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_whole
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Pass


def chunked_gradient(
    net: Network, x: npt.ArrayLike, y: npt.ArrayLike, *, chunk: int, weights: npt.ArrayLike | None = None
) -> tuple[float, dict[str, Array]]:
    """Return the loss and its gradient with paths cut between chunks of steps.

    The sequence is cut into chunks; the state is carried over each border, the gradient is not. An output at the
    start of a chunk looks back over no step, one at its end over ``chunk - 1``. With one chunk it is the full gradient.

    Parameters
    ----------
    net : Network
        With readout "every", forward in time, without feedback and linear path.
    x : array_like (B, T, D)
    y : array_like
        As for `Network.loss_and_gradients`.
    chunk : int
        Steps of each chunk; the last one may be shorter.
    weights : array_like (B,) or (B, T), optional

    Returns
    -------
    loss : float
        Of the whole sequence.
    gradients : dict of parameter name to ndarray

    Raises
    ------
    InvalidInput, InvalidType
        A network whose outputs need more than the state that is carried.
    """
    if not isinstance(net, Network):
        raise InvalidType(f"net must be a Network. Got {type(net).__name__}")
    for fits, rule, got in (
        (net.readout == "every", "have readout 'every'", f"readout {net.readout!r}"),
        (
            net.recurrent.direction == "forward",
            "run forward in time",
            f"direction {net.recurrent.direction!r}",
        ),
        (not net.feedback, "be without feedback", "feedback=True"),
        (not net.linear_lags, "be without a linear path", f"linear_lags = {net.linear_lags}"),
    ):
        if not fits:
            raise InvalidInput(f"net must {rule} to be cut into chunks. Got {got}")
    steps = check_whole("chunk", chunk)
    inputs = np.asarray(x)
    cuts = range(0, inputs.shape[1] if inputs.ndim == 3 else 1, steps)
    passes: list[Pass] = []
    for first in cuts:
        before = passes[-1].state if passes else None
        passes.append(net.forward(inputs[:, first : first + steps], before))
    y_hat = np.concatenate([each.y_hat for each in passes], axis=1)
    loss, dy_hat = net.loss.value_and_gradient(y_hat, np.asarray(y), weights)
    total: dict[str, Array] = {}
    for first, each in zip(cuts, passes, strict=True):
        found = net.backward(each, dy_hat[:, first : first + steps], want_x=False).parameters
        total = {name: d + total[name] if total else d for name, d in found.items()}
    return float(loss), total
