"""Which sources fused steps read by themselves, and data that do not fit the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.checks import Array
from bptt.data import Sequences, Windows
from bptt.data.examples.arrays import Arrays
from bptt.data.examples.batch import Batch
from bptt.errors import BpttError
from bptt.network import Network, Recurrent
from bptt.optim import SGD
from bptt.training import train
from tests.training.setups import Recording, assert_same_bits, copy_of
from tests.training.steps.test_fused import count_calls
from tests.training.steps.test_fused_limits import data, make, same_as_by_hand

N, T, D, K, B, STEPS = 41, 5, 3, 2, 6, 15


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many steps each fused call made; empty where the run went step by step."""
    return count_calls(monkeypatch)


class Noisy(Windows):
    """A subclass that changes what it hands out."""

    def batch(self, indices: Any) -> Batch:
        found = super().batch(indices)
        return Batch(found.x + 0.5, found.y)


class NoisyArrays(Arrays):
    def batch(self, indices: Any) -> Batch:
        found = super().batch(indices)
        return Batch(found.x, 2 * found.y)


def weighted(**given: Any) -> Arrays:
    found = data()
    return Arrays(found.x, found.y, **given)


@pytest.mark.parametrize("name", ["user", "windows", "arrays", "lengths"])
def test_sources_that_are_asked_for_batches(name: str, fused: list[int]) -> None:
    rng = np.random.default_rng(2)
    values = rng.standard_normal((N, 4))
    source: Any = {
        "user": lambda: Recording(data().x, data().y),
        "windows": lambda: Noisy(values, inputs=(0, 2, 3), targets=(1, 2), length=T),
        "arrays": lambda: NoisyArrays(data().x, data().y),
        "lengths": lambda: weighted(lengths=rng.integers(1, T + 1, N)),
    }[name]()
    same_as_by_hand(make(), make(), source, SGD(0.02))
    assert fused == []


@pytest.mark.parametrize("columns", [K, T])
def test_whole_numbers_as_targets_of_a_regression(columns: int) -> None:
    rng = np.random.default_rng(2)
    y = rng.integers(-3, 4, (N, columns))
    losses = []
    for engine in ("compiled", "numpy"):
        net = Network(Recurrent("elman", D, 7, engine=engine), columns)
        losses.append(train(net, (data().x, y), steps=STEPS, batch_size=B, progress=False).losses)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-10, atol=0)


@pytest.mark.parametrize("kind", ["int32", "uint8", "uint64", "int64"])
def test_labels_of_any_integer_dtype(kind: str, fused: list[int]) -> None:
    rng = np.random.default_rng(2)
    found = data()
    sources = [Arrays(found.x, labels) for labels in (rng.integers(K, size=N), rng.integers(K, size=(N, T)))]
    for source, readout in zip(sources, ("last", "every"), strict=True):
        source.y = source.y.astype(kind)
        options = {"loss": "cross_entropy", "readout": readout}
        same_as_by_hand(make(**options), make(**options), source, SGD(0.1))
    assert fused == [1, STEPS - 1] * 2


X = data().x
WRONG: dict[str, tuple[Any, dict[str, Any]]] = {
    "inputs": ((X[..., :2], data().y), {}),
    "outputs": ((X, data().y[:, :1]), {}),
    "steps": ((X, data().y), {"readout": "every"}),
    "last": ((X, np.zeros((N, T, K))), {}),
    "classes": ((X, np.full(N, K)), {"loss": "cross_entropy"}),
    "negative": ((X, np.full(N, -1)), {"loss": "cross_entropy"}),
    "one-hot": ((X, np.eye(2)[np.zeros(N, int)]), {"loss": "cross_entropy"}),
    "one-hot integers": ((X, np.eye(2, dtype=int)[np.zeros(N, int)]), {"loss": "cross_entropy"}),
    "label a step": ((X, np.zeros((N, T), int)), {"loss": "cross_entropy"}),
    "label a row": ((X, np.zeros(N, int)), {"loss": "cross_entropy", "readout": "every"}),
    "labels for numbers": ((X, np.zeros(N, int)), {}),
    "windows": (Windows(X[:, 0], targets=(0, 1), length=4), {"readout": "every"}),
    "sequences": (Sequences(X[:, 0], targets=(0, 1), length=4), {}),
}
ONE_STEP: dict[str, tuple[Any, dict[str, Any]]] = {
    "last": ((X[:, :1], np.zeros((N, 1, K))), {}),
    "every": ((X[:, :1], np.zeros((N, K))), {"readout": "every"}),
    "label a row": ((X[:, :1], np.zeros(N, int)), {"loss": "cross_entropy", "readout": "every"}),
    "label a step": ((X[:, :1], np.zeros((N, 1), int)), {"loss": "cross_entropy"}),
    "windows": (Windows(X[:, 0], targets=(0, 1), length=1), {"readout": "every"}),
    "sequences": (Sequences(X[:, 0], targets=(0, 1), length=1), {}),
}


def refusal(engine: str, source: Any, options: dict[str, Any]) -> tuple[type, str]:
    net = make(engine=engine, **options)
    before: dict[str, Array] = copy_of(net)
    with pytest.raises(BpttError, match="Got") as caught:
        train(net, source, steps=STEPS, batch_size=B, progress=False)
    assert_same_bits(net.parameters, before)
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(
    "name",
    WRONG,
)
def test_data_that_do_not_fit_are_refused_in_the_same_words(name: str) -> None:
    assert refusal("compiled", *WRONG[name]) == refusal("numpy", *WRONG[name])


@pytest.mark.parametrize("name", ONE_STEP)
def test_one_step_is_not_taken_for_the_last(name: str) -> None:
    assert refusal("compiled", *ONE_STEP[name]) == refusal("numpy", *ONE_STEP[name])
