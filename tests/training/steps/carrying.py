"""Networks, stretches and a source of one's own, which the tests of carried state share."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from bptt.data import Batch, Stretches
from bptt.network import Network, Recurrent

needs_llvmlite = pytest.mark.skipif(
    find_spec("llvmlite") is None, reason="the compiled engine needs llvmlite"
)
# Rows, inputs, outputs, hidden units: all different.
N, D, K, H = 83, 3, 2, 5
# One pass over the whole series against many: products of other shapes.
REORDERED = 1e-12
# A central difference of float64 losses.
DIFFERENCE = 1e-7


def make_net(cell: str = "lstm", dtype: str = "float64", **options: Any) -> Network:
    names = ("num_layers", "dropout", "direction", "engine")
    layers = {name: options.pop(name) for name in names if name in options}
    size = D + K if options.get("feedback") else D
    net = Network(
        Recurrent(cell, size, H, dtype=dtype, seed=4, **layers), K, readout=options.pop("readout", "every"),
        seed=5, **options,
    )  # fmt: skip
    rng = np.random.default_rng(6)
    for p in net.parameters.values():
        p += 0.3 * rng.standard_normal(p.shape).astype(dtype)
    return net


def make_series(rng: np.random.Generator, rows: int = N) -> Any:
    return rng.standard_normal((rows, D))


def make_stretches(values: Any, **options: Any) -> Stretches:
    return Stretches(values, **({"targets": [2, 0], "chunk": 7} | options))


def in_order(source: Any) -> Iterator[Batch]:
    for first in range(0, len(source), source.streams):
        yield source.batch(np.arange(first, first + source.streams))


def whole(values: Any, dtype: str = "float64", horizon: int = 1) -> tuple[Any, Any]:
    """Return the series as one example (1, T, D) with its targets."""
    return values[None, :-horizon].astype(dtype), values[None, horizon:, [2, 0]].astype(dtype)


KINDS = [
    {"cell": "elman"},
    {"cell": "gru", "num_layers": 2},
    {"cell": "lstm_peephole", "learned_initial_state": True},
    {"cell": "lstm", "feedback": True},
    {"cell": "gru", "feedback": True, "learned_initial_state": True, "output_activation": "tanh"},
    {"cell": "elman", "linear_lags": 1, "change_of": [2, 0], "change_scale": 0.7},
]


class Clicks:
    """A source of the user's own: classes of the last step, 4 rows that go on now and then."""

    streams = 4
    onward: Any = None

    def __init__(self, rng: np.random.Generator) -> None:
        self.x = rng.standard_normal((12, 6, D))
        self.y = rng.integers(0, K, 12)
        self.carry = np.array(4 * [False] + [True, False, True, True] + [False, True, True, False])

    def __len__(self) -> int:
        return 12

    def batch(self, indices: Any) -> Batch:
        return Batch(self.x[indices], self.y[indices], carry=self.carry[indices], onward=self.onward)
