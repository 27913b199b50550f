"""Small networks, data and sources that the tests of training share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.data.examples.arrays import Arrays
from bptt.data.examples.batch import Batch
from bptt.network import Network, Recurrent
from bptt.training import Event

# Examples, steps, inputs, outputs: all different.
N, T, D, K = 53, 6, 3, 2


def make_data(rng: np.random.Generator, dtype: str = "float64", count: int = N) -> tuple[Any, Any]:
    x = rng.standard_normal((count, T, D))
    y = 0.5 * x[:, -1, :K] + 0.1 * rng.standard_normal((count, K))
    return x.astype(dtype), y.astype(dtype)


def make_net(cell: str = "gru", dtype: str = "float64", seed: int = 3, **options: Any) -> Network:
    layers = {"num_layers": 2, "dropout": options.pop("dropout")} if "dropout" in options else {}
    return Network(Recurrent(cell, D, 5, dtype=dtype, seed=seed, **layers), K, seed=seed, **options)


def copy_of(net: Network) -> dict[str, Any]:
    return {name: p.copy() for name, p in net.parameters.items()}


def assert_same_bits(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def differ(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return any(not np.array_equal(values, second[name]) for name, values in first.items())


class Trail:
    """A callback that keeps the events and the weights after every update; `weights[k]` has seen k updates."""

    def __init__(self, net: Network) -> None:
        self.weights = [copy_of(net)]
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.weights.append(copy_of(event.net))
        self.events.append(event)


class Recording:
    """A source of the user's own: counts what is drawn, and may spoil or interrupt one call of `batch`."""

    def __init__(self, x: npt.ArrayLike, y: npt.ArrayLike, **rest: Any) -> None:
        self.inside = Arrays(x, y, **rest)
        self.drawn: list[Any] = []
        self.error_at: tuple[int, BaseException] | None = None
        self.poison: tuple[str, tuple[int, ...], float] | None = None

    def __len__(self) -> int:
        return len(self.inside)

    def batch(self, indices: npt.ArrayLike) -> Batch:
        if self.error_at is not None and len(self.drawn) == self.error_at[0]:
            raise self.error_at[1]
        self.drawn.append(np.array(indices))
        found = self.inside.batch(indices)
        if self.poison is not None:
            name, (example, *place), value = self.poison
            rows = np.flatnonzero(np.asarray(indices) == example)
            getattr(found, name)[(rows, *place)] = value
        return found
