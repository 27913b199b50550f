"""From the stack's outputs to predictions, and back: the part that windowed and fed-back networks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from bptt.activations import FUNCTIONS
from bptt.network.design import Design

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ReadoutTape:
    """Features (..., H) and activated readout (..., K) of one pass."""

    features: Array
    activated: Array


def read(
    net: Design,
    parameters: Mapping[str, Array],
    features: Array,
    linear: Array | None,
    last_x: Array | None,
) -> tuple[Array, ReadoutTape]:
    """Return y_hat (..., K) from features (..., H), the linear path's output and the newest inputs (..., D).

    The newest inputs are read by a network whose target is a change, and by no other.
    """
    a_y = features @ parameters["readout.W_hy"]
    if "readout.b_y" in parameters:
        a_y = a_y + parameters["readout.b_y"]
    if linear is not None:
        a_y = a_y + linear
    activated = FUNCTIONS[net.output_activation](a_y)
    # A copy: the caller may turn y_hat into its own gradient in place.
    y_hat = activated.copy()
    if net.change_of is not None:
        assert last_x is not None
        y_hat = last_x[..., list(net.change_of)] + activated * _scale(net, activated)
    return y_hat, ReadoutTape(features, activated)


def read_backward(
    net: Design, parameters: Mapping[str, Array], tape: ReadoutTape, dy_hat: Array
) -> tuple[dict[str, Array], Array, Array]:
    """Return the readout's gradients, dL/dfeatures (..., H) and dL/da_y (..., K), which the linear path shares."""
    dactivated = dy_hat if net.change_of is None else dy_hat * _scale(net, dy_hat)
    da_y = dactivated * FUNCTIONS[f"{net.output_activation}_derivative"](tape.activated)
    flat = da_y.reshape(-1, da_y.shape[-1])
    gradients = {"readout.W_hy": tape.features.reshape(len(flat), -1).T @ flat}
    if "readout.b_y" in parameters:
        gradients["readout.b_y"] = flat.sum(axis=0)
    return gradients, da_y @ parameters["readout.W_hy"].T, da_y


def add_change_backward(net: Design, dx: Array, dy_hat: Array) -> None:
    """Add to dx (..., D) what reaches the columns whose change is predicted."""
    if net.change_of is not None:
        for k, column in enumerate(net.change_of):  # one by one: two outputs may share a column
            dx[..., column] += dy_hat[..., k]


def _scale(net: Design, like: Array) -> Any:
    return like.real.dtype.type(net.change_scale)
