"""What the tests of streams share: the engines at hand, networks with everything that a stream must carry on."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bptt.cells import Cell
from bptt.network import Network, Recurrent
from tests.network.build import randomise

Array = npt.NDArray[Any]

ENGINES = [
    "numpy",
    pytest.param(
        "compiled",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("llvmlite") is None, reason="llvmlite is not installed"
        ),
    ),
]

# Of the largest entry of each step, against the NumPy engine in float64 over the whole history: another order of
# summation, at gain <= 1.
TOLERANCE = {"float64": 1e-12, "float32": 2e-6}


def make_pair(
    cell: str | Cell,
    rng: np.random.Generator,
    *,
    dtype: str = "float64",
    engine: str = "compiled",
    inputs: int = 3,
    hidden: int = 11,
    outputs: int = 2,
    stack: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[Network, Network]:
    """Return a network with random weights that both precisions hold, and its twin: the NumPy engine in float64."""

    def make(dtype: str, engine: str) -> Network:
        made = Recurrent(cell, inputs, hidden, dtype=dtype, engine=engine, **(stack or {}))
        return Network(made, outputs, **settings)

    net, twin = make(dtype, engine), make("float64", "numpy")
    randomise(twin, rng)
    for name, p in net.parameters.items():
        p[...] = twin.parameters[name]
        twin.parameters[name][...] = p
    return net, twin


def draw(rng: np.random.Generator, *shape: int) -> Array:
    """Return random numbers that both precisions hold."""
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)


def draw_state(net: Network, streams: int, rng: np.random.Generator) -> dict[str, Array]:
    """Return a random state."""
    return {name: draw(rng, *net.recurrent.state_shape(streams)) for name in net.recurrent.states}


def every_step(net: Network, x: Array, **given: Any) -> Array:
    """Return what `forward` gives after each step (S, T, K); with readout "last" from each beginning of x."""
    if net.readout == "every":
        return net.forward(x, **given).y_hat
    found = [net.forward(x[:, : t + 1], **given).y_hat for t in range(x.shape[1])]
    return np.stack(found, axis=1)


def agree(found: Array, wanted: Array, dtype: str) -> None:
    """Raise unless the arrays agree by step, and found has the dtype.

    The numbers are sums of terms of about 1, which may cancel, or be cut off by relu: a quarter is the least that a
    step is held to.
    """
    assert found.dtype == dtype
    assert found.shape == wanted.shape
    for t in range(wanted.shape[1]):
        largest = max(np.abs(wanted[:, t]).max(), 0.25)
        np.testing.assert_allclose(found[:, t], wanted[:, t], rtol=0, atol=TOLERANCE[dtype] * largest)


def agree_state(found: dict[str, Array], wanted: dict[str, Array], dtype: str) -> None:
    """Raise unless the states agree by layer."""
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        agree(found[name].swapaxes(0, 1), array.swapaxes(0, 1), dtype)
