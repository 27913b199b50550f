"""The network as diagnostics run it: on the reference engine, in float64, whatever it was made with."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bptt.checks import Array
from bptt.errors import InvalidType
from bptt.network import Network
from bptt.network.border import check_parameters

FLOAT64 = np.dtype("float64")


def check_network(net: object) -> Network:
    """Return `net`, or raise."""
    if not isinstance(net, Network):
        raise InvalidType(f"net must be a Network. Got {type(net).__name__}")
    return net


def check_real(name: str, value: npt.ArrayLike) -> Array:
    """Return an array of any shape and real dtype, or raise: the complex step is not for diagnostics."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise InvalidType(
            f"{name} must be a rectangular array of numbers. Got nested sequences of unequal length: "
            "pad them and pass lengths="
        ) from None
    if array.dtype.kind == "c":
        raise InvalidType(f"{name} must be real. Got {array.dtype}")
    return array


def in_float64(
    net: Network, parameters: Mapping[str, Array] | None = None
) -> tuple[Network, dict[str, Array]]:
    """Return the network on the reference engine in float64, and its parameters so."""
    stack = copy.copy(net.recurrent)
    stack.engine, stack.dtype = "numpy", FLOAT64
    found = copy.copy(net)
    found.recurrent = stack
    used = check_parameters(net.parameters, parameters)
    return found, {name: np.asarray(p, np.float64) for name, p in used.items()}
