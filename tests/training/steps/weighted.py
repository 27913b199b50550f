"""Examples with weights of their own, networks for them, and a callback that lets steps be fused."""

from __future__ import annotations

from typing import Any

import numpy as np

from bptt.data import Sequences
from bptt.data.examples.arrays import Arrays
from bptt.data.examples.batch import Source
from bptt.data.examples.partly_seen import PartlySeen
from bptt.losses import Loss
from bptt.network import Network, Recurrent
from tests.network.build import randomise

# Examples, steps, inputs, outputs, rows of a batch: all different. B does not divide N.
N, T, D, K, B = 53, 11, 3, 4, 7


def draw(count: Any, rng: np.random.Generator, *, empty: bool) -> Any:
    """Return weights, some of them 0; `empty` says whether all of an example's may be."""
    # Of one number an example so few that no batch is left without.
    share = 0.35 if len(np.atleast_1d(count)) == 2 else 0.1
    found = np.where(rng.random(count) < share, 0, rng.uniform(0.2, 3.0, count))
    if not empty:
        found.reshape(len(found), -1)[:, -1] = rng.uniform(0.2, 3.0, len(found))
    return found


def partly_seen(
    rng: np.random.Generator, *, targets: int = K, dtype: str = "float32", warmup: int = 6, rows: int = 97
) -> PartlySeen:
    values = rng.standard_normal((rows, D + targets))
    sequences = Sequences(
        values, inputs=range(D), targets=range(D, D + targets), length=T, warmup=warmup, horizon=2,
        segments=(0, 31), dtype=dtype,
    )  # fmt: skip
    weights = draw((rows, 1), rng, empty=True)[:, 0]
    # Some sequences count for nothing: they are left out.
    weights[40:55] = 0
    return PartlySeen(sequences, weights)


def examples(
    kind: str, loss: str, rng: np.random.Generator, dtype: str = "float64", *, empty: bool = True
) -> Source:
    targets = 2 if loss == "pinball" else K
    if kind == "partly seen":
        return partly_seen(rng, targets=targets, dtype=dtype)
    shape = (N,) if kind == "last" else (N, T)
    classes = loss == "cross-entropy"
    y = rng.integers(K, size=shape) if classes else rng.standard_normal((*shape, targets))
    weights = draw((N, T) if kind == "steps" else (N,), rng, empty=empty)
    if kind == "steps":
        weights[:, :5] = 0
    source = Arrays(rng.standard_normal((N, T, D)), y, weights=weights)
    if not classes:
        source.x, source.y = source.x.astype(dtype), source.y.astype(dtype)
    return source


def made(loss: Loss, readout: str = "every", **given: Any) -> Network:
    settings = {"cell": "gru", "hidden": 5, "dtype": "float32", "layers": 1, "engine": "compiled"} | given
    stack = Recurrent(
        settings.pop("cell"), D, settings.pop("hidden"), num_layers=settings.pop("layers"),
        dtype=settings.pop("dtype"), engine=settings.pop("engine"),
    )  # fmt: skip
    net = Network(stack, K, readout=readout, loss=loss, **settings)
    return randomise(net, np.random.default_rng(3), gain=0.6)


class Steps:
    """A callback that keeps the steps that it is told of, and promises not to look at the network."""

    looks_at_net = False

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, event: Any) -> None:
        self.seen.append(event.step)
