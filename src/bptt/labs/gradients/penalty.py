"""Pascanu's penalty: each step back should leave the gradient as long as it was.

With dh_t = dL/dh_t on its way back through an Elman network and J_t = d h_(t+1) / d h_t,

    Omega = sum_t ( |dh_(t+1) J_t| / |dh_(t+1)| - 1 )^2,   t = 1 .. T-1,

mean over the rows. As in the paper, only the *immediate* derivative with respect to W_hh is followed: dh_(t+1) and the
states inside J_t = W_hh^T diag(f'(a_(t+1))) are held constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bptt.activations import FUNCTIONS
from bptt.checks import Array
from bptt.engine import get_engine
from bptt.errors import InvalidInput
from bptt.network import Network
from bptt.network.readout import read_backward


def omega(W_hh: Array, dh: Array, slope: Array) -> tuple[Any, Array]:
    """Return Pascanu's penalty and its immediate gradient with respect to W_hh.

    Parameters
    ----------
    W_hh : ndarray (H, H)
        Complex for the complex-step check.
    dh : ndarray (T, B, H)
        dL/dh_t, t = 1..T; held constant. A row whose gradient is exactly 0 at a step adds nothing there.
    slope : ndarray (T, B, H)
        f'(a_t), t = 1..T; held constant.

    Returns
    -------
    value : float
        Mean over the rows; complex where W_hh is.
    dW_hh : ndarray (H, H)

    References
    ----------
    Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks", equations 9 and 10.
    There the sum runs over one sequence; here its mean over the batch is taken.
    """
    batch = dh.shape[1]
    later = dh[1:].reshape(-1, dh.shape[2])
    # Made of size 1 before it is squared, as the square of a small float32 number is 0.
    largest = np.abs(later).max(axis=1, keepdims=True)
    later = np.divide(later, largest, out=np.zeros_like(later), where=largest > 0)
    size = np.linalg.norm(later, axis=1)
    kept = size > 0
    u = later[kept] / size[kept, None] * slope[1:].reshape(-1, dh.shape[2])[kept]
    v = u @ W_hh.T
    ratio = np.sqrt((v * v).sum(axis=1))  # not a norm: that would drop the imaginary part
    value = ((ratio - 1) ** 2).sum() / batch
    pull = np.divide(2 * (ratio - 1), ratio, out=np.zeros_like(ratio), where=ratio != 0)
    return value, (v * pull[:, None]).T @ u / batch


def penalised_gradients(
    net: Network, x: Array, y: Array, strength: float
) -> tuple[float, float, dict[str, Array]]:
    """Return the loss, the penalty (without its strength) and the gradients of loss + strength * penalty.

    Parameters
    ----------
    net : Network
        One Elman layer, forward in time, with readout "last".
    x : ndarray (B, T, D)
    y : ndarray
    strength : float

    Raises
    ------
    InvalidInput
        Another network.
    """
    stack = net.recurrent
    if (
        stack.cell.name != "elman"
        or stack.num_layers != 1
        or stack.direction != "forward"
        or net.readout != "last"
    ):
        raise InvalidInput(
            "net must be one Elman layer that runs forward with readout 'last' for Pascanu's penalty. "
            f"Got {stack!r}, readout {net.readout!r}"
        )
    record = net.forward(x)
    loss, dy_hat = net.loss.value_and_gradient(record.y_hat, y)
    tape = record.tape
    gradients, dlast, _ = read_backward(net, tape.parameters, tape.readout, dy_hat)
    swept = get_engine(stack.engine).backward(
        tape.stack.tapes[0], None, {"h": dlast}, want={"parameters", "states"}
    )
    assert swept.parameters is not None
    assert swept.states is not None
    gradients.update({f"layers.0.{name}": d for name, d in swept.parameters.items()})
    h = tape.stack.tapes[0].states["h"][1:]
    derivative = FUNCTIONS[f"{stack.cell.bound_functions['activation'].__name__}_derivative"]
    value, dW_hh = omega(tape.parameters["layers.0.W_hh"], swept.states["h"][1:], derivative(h))
    gradients["layers.0.W_hh"] = gradients["layers.0.W_hh"] + (strength * dW_hh).astype(net.dtype)
    return float(loss), float(value), {name: gradients[name] for name in net.parameters}
