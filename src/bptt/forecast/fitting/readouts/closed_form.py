"""The last step of training in closed form: readout and linear path together, by ridge regression.

Once the recurrent part is trained, the prediction is linear in what is left: the newest rows of the window (the
linear path) and the final hidden state (the readout). Gradient descent finds that optimum slowly, because the
window's columns are nearly collinear; the normal equations find it at once. On the training
rows the result is, but for the ridge, never worse than least squares on the same window.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bptt.checks import Array, check_number
from bptt.data import Windows
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput
from bptt.learning.ridge import solve_ridge
from bptt.network import Network, Recurrent

# Rows of features held at once.
CHUNK = 2048


def with_linear_path(net: Network, lags: int) -> Network:
    """Return a network with the same parameters and a linear path over `lags` rows, which starts at 0.

    Raises
    ------
    InvalidInput
        The network has a linear path already, or feedback, beside which there is no window.
    """
    if net.linear_lags or net.feedback:
        raise InvalidInput(
            "with_linear_path takes a network without a linear path and without feedback. "
            f"Got linear_lags = {net.linear_lags}, feedback = {net.feedback}"
        )
    wider = Network(
        net.recurrent,
        net.output_size,
        readout=net.readout,
        loss=net.loss,
        output_activation=net.output_activation,
        bias=net.bias,
        linear_lags=lags,
        change_of=net.change_of,
        change_scale=net.change_scale,
        learned_initial_state=net.learned_initial_state,
    )
    for name, values in net.parameters.items():
        wider.parameters[name][...] = values
    return wider


def solve_readout(net: Network, windows: Windows, *, ridge_window: float, ridge_state: float) -> None:
    """Set ``linear.W_xy``, ``readout.W_hy`` and ``readout.b_y`` to the ridge solution on all windows, in place.

    Parameters
    ----------
    net : Network
        Forward in time, with a linear path over the windows' length, an identity output and a bias. With readout
        "every" the state is carried through the whole series that the windows lie in, as in streaming.
    windows : Windows
        Training examples, in the order of time.
    ridge_window, ridge_state : float
        Added to the diagonal of the normal equations (sums over examples, scaled units) for the linear path's weights
        and for the readout's. The intercept is not penalised.

    Notes
    -----
    With F the centred features and z the centred target in the readout's unit,
    w = (F^T F + diag(ridge))^{-1} F^T z, in float64.
    """
    _check(net, windows)
    ridge = np.concatenate([
        np.full(len(net.parameters["linear.W_xy"]), check_number("ridge_window", ridge_window, least=0.0)),
        np.full(len(net.parameters["readout.W_hy"]), check_number("ridge_state", ridge_state, least=0.0)),
    ])  # fmt: skip
    weights, intercept = solve_ridge(_features(net, windows), ridge, net.output_size)
    split = len(net.parameters["linear.W_xy"])
    net.parameters["linear.W_xy"][...] = weights[:split]
    net.parameters["readout.W_hy"][...] = weights[split:]
    net.parameters["readout.b_y"][...] = intercept


def silenced(net: Network, windows: Windows) -> dict[str, Array]:
    """Return the parameters with the recurrent part's contribution held at its training mean.

    What then still predicts is the linear path: the difference is what the recurrent part is worth.
    """
    _check(net, windows)
    split = len(net.parameters["linear.W_xy"])
    total, count = np.zeros(len(net.parameters["readout.W_hy"])), 0
    for features, _ in _features(net, windows):
        total += features[:, split:].sum(axis=0)
        count += len(features)
    held = (total / count) @ net.parameters["readout.W_hy"].astype(np.float64)
    return {
        **net.parameters,
        "readout.W_hy": np.zeros_like(net.parameters["readout.W_hy"]),
        "readout.b_y": (net.parameters["readout.b_y"] + held).astype(net.dtype),
    }


def predict_windows(net: Network, windows: Windows, parameters: dict[str, Array] | None = None) -> Array:
    """Return the predictions (len, K) of the windows' targets, scaled.

    A network with readout "last" sees each window from a zero state. One with readout "every" runs once through the
    series from its first row and carries its state.
    """
    if net.readout == "every":
        _check_one_segment(windows)
        row = np.asarray(windows.values[None, : -windows.horizon, windows.inputs], net.dtype)
        y_hat: Array = net.forward(row, parameters=parameters, tape=False).y_hat[0]
        chosen: Array = y_hat[windows.starts + windows.length - 1]
        return chosen
    return np.concatenate([
        net.forward(windows.batch(chunk).x, parameters=parameters, tape=False).y_hat for chunk in _chunks(len(windows))
    ])  # fmt: skip


def _check(net: Network, windows: Windows) -> None:
    if net.linear_lags != windows.length:
        raise InvalidInput(
            f"linear_lags must be the windows' length = {windows.length}. Got {net.linear_lags}: use with_linear_path"
        )
    if net.learned_initial_state:
        raise InvalidInput("the closed form takes features from a zero state. Got a learned initial state")
    if net.readout == "every":
        _check_one_segment(windows)
    if net.output_activation != "identity" or not net.bias or net.recurrent.direction != "forward":
        raise InvalidInput(
            "the closed form needs a network that runs forward, with an identity output and a bias. "
            f"Got {net.output_activation!r}, bias={net.bias}, {net.recurrent.direction!r}"
        )


def _check_one_segment(windows: Windows) -> None:
    if len(windows.segments) > 1:
        raise InvalidInput(
            "a carried state needs one unbroken series. "
            f"Got windows over {len(windows.segments)} segments: solve and predict each on its own"
        )


def _features(net: Network, windows: Windows) -> Iterator[tuple[Array, Array]]:
    """Yield chunks of features (n, lags * D + H) and of the readout's targets (n, K), float64."""
    carried = _carried_states(net.recurrent, windows) if net.readout == "every" else None
    for chunk in _chunks(len(windows)):
        batch = windows.batch(chunk)
        if carried is None:
            h = net.forward(batch.x, tape=False).state["h"][-1]
        else:
            h = carried[windows.starts[chunk] + windows.length - 1]
        x = batch.x.reshape(len(chunk), -1)
        y = batch.y.astype(np.float64)
        if net.change_of is not None:
            y = (y - batch.x[:, -1, list(net.change_of)]) / net.change_scale
        yield np.concatenate([x, h], axis=1).astype(np.float64), y


def _carried_states(stack: Recurrent, windows: Windows) -> Array:
    """Return the outputs (N - horizon, H) of one pass through the whole series."""
    row = windows.values[None, : -windows.horizon, windows.inputs]
    x, _, _ = stack.check_inputs(row, None, None)
    with one_blas_thread():
        h, _, _ = stack.run(x, None, None, tape=False)
    assert h is not None
    return h[:, 0]


def _chunks(count: int) -> list[Array]:
    return [np.arange(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
