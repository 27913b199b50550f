"""Where sources keep their examples: the same numbers as in their batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.data import Sequences, Stretches, Windows
from bptt.data.examples import resident as resident_module
from bptt.data.examples.arrays import Arrays
from bptt.data.examples.batch import Batch
from bptt.data.examples.partly_seen import PartlySeen
from bptt.data.examples.resident import Resident, find_resident
from tests.training.setups import Recording

N, C, T = 47, 5, 6
COLUMNS = {"inputs": (4, 0, 2), "targets": (1, 4), "length": T, "horizon": 3, "segments": (0, 20)}


def read(found: Resident, index: int) -> tuple[Any, Any]:
    start, y_start = found.x_starts[index], found.y_starts[index]
    return found.x[start : start + found.length], found.y[y_start : y_start + found.y_length]


def assert_same_examples(found: Resident | None, source: Any, dtype: str) -> None:
    assert found is not None
    assert found.x.dtype == dtype
    assert found.x.flags.c_contiguous
    assert found.y.flags.c_contiguous
    assert (found.x_starts.dtype, found.y_starts.dtype) == (np.int64, np.int64)
    assert len(found.x_starts) == len(found.y_starts) == len(source)
    batch = source.batch(np.arange(len(source)))
    for k in range(len(source)):
        x, y = read(found, k)
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(x, batch.x[k].astype(dtype))
            np.testing.assert_array_equal(y.reshape(batch.y[k].shape), batch.y[k].astype(found.y.dtype))
    if found.weights_of is not None:
        drawn = np.random.default_rng(1).permutation(len(source))
        weights = source.batch(drawn).weights
        np.testing.assert_array_equal(found.weights_of(drawn), weights)
        assert found.weights_of(drawn).shape == weights.shape
        # Steps that count in no example.
        nowhere = np.zeros(T, bool) if weights.ndim == 1 else ~batch.weights.any(axis=0)
        assert (found.weights is None) == (weights.ndim == 1)
        if found.weights is not None:
            assert nowhere[found.weights == 0].all()
            assert (found.weights == 0).any()
    elif batch.weights is None:
        assert found.weights is None
    else:
        assert found.weights is not None
        np.testing.assert_array_equal(np.tile(found.weights, (len(source), 1)), batch.weights)


def series(kind: str, own: str, rng: np.random.Generator) -> Any:
    values = rng.standard_normal((N, C)) * 10.0 ** rng.integers(-3, 4, C)
    if kind == "windows":
        return Windows(values, **COLUMNS, dtype=own)
    return Sequences(values, **COLUMNS, dtype=own, warmup=2 if kind == "warm-up" else 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("own", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["windows", "sequences", "warm-up"])
def test_series(kind: str, own: str, dtype: str, rng: np.random.Generator) -> None:
    source = series(kind, own, rng)
    found = find_resident(source, np.dtype(dtype))
    assert_same_examples(found, source, dtype)
    assert found is not None
    # Rounded as a batch is: through the source's own dtype.
    assert found.y_length == (1 if kind == "windows" else T)
    assert np.shares_memory(found.x, source.x_rows) == (own == dtype)


def test_parts_of_a_series(rng: np.random.Generator) -> None:
    for part in series("windows", "float32", rng).split_last(0.3):
        assert_same_examples(find_resident(part, np.dtype("float32")), part, "float32")
    some = Windows(rng.standard_normal((N, C)), **{**COLUMNS, "starts": (3, 4, 22, 30)})
    assert_same_examples(find_resident(some, np.dtype("float64")), some, "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(N, 2), (N, T, 2), (N, T, 1), (N, 1), (N, T)], ids=str)
def test_arrays(shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> None:
    source = Arrays(rng.standard_normal((N, T, 3)), rng.standard_normal(shape))
    assert_same_examples(find_resident(source, np.dtype(dtype)), source, dtype)
    source.x, source.y = source.x.astype("f"), source.y.astype("f")
    found = find_resident(source, np.dtype(dtype))
    assert_same_examples(found, source, dtype)
    assert found is not None
    assert np.shares_memory(found.x, source.x) == (dtype == "float32")


@pytest.mark.parametrize("shape", [(N,), (N, T)], ids=str)
@pytest.mark.parametrize("kind", ["int64", "int32", "uint8"])
def test_labels(shape: tuple[int, ...], kind: str, rng: np.random.Generator) -> None:
    source = Arrays(rng.standard_normal((N, T, 3)), rng.integers(5, size=shape).astype(kind))
    found = find_resident(source, np.dtype("float32"))
    assert_same_examples(found, source, "float32")
    assert found is not None
    assert (found.y.dtype, found.y.ndim) == (np.int64, 1)
    assert found.y_length == (T if len(shape) == 2 else 1)


@pytest.mark.parametrize("shape", [(N, 2), (N, T, 2)], ids=str)
def test_whole_numbers_that_are_no_labels(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    source = Arrays(rng.standard_normal((N, T, 3)), rng.integers(-9, 9, shape))
    found = find_resident(source, np.dtype("float32"))
    # Left to its batches, or as numbers.
    if found is not None:
        assert_same_examples(found, source, "float32")
        assert found.y.dtype == "float32"


def test_arrays_of_any_layout(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((3, T, N)).T, rng.standard_normal((2, N)).T
    source = Arrays(x, y)
    assert_same_examples(find_resident(source, np.dtype("float64")), source, "float64")


def test_what_leaves_float32_becomes_infinite_as_in_a_batch(rng: np.random.Generator) -> None:
    source = Arrays(rng.standard_normal((N, T, 3)), rng.standard_normal((N, 2)))
    source.x[3, 1, 2], source.y[4, 1] = 1e39, -1e300
    found = find_resident(source, np.dtype("float32"))
    assert_same_examples(found, source, "float32")
    assert found is not None
    assert np.isinf(found.x).sum() == np.isinf(found.y).sum() == 1


class Own(Windows):
    """A subclass may make its batches differently."""

    def batch(self, indices: Any) -> Batch:
        return super().batch(indices)


def test_sources_that_must_be_asked(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((N, T, 3)), rng.standard_normal((N, 2))
    sources = [
        Own(rng.standard_normal((N, C)), **COLUMNS),
        Recording(x, y),
        Arrays(x, y, lengths=rng.integers(1, T + 1, N)),
        Stretches(rng.standard_normal((N, C)), targets=(1,), chunk=T, streams=2),
    ]
    for source in sources:
        assert find_resident(source, np.dtype("float64")) is None, type(source)


def test_large_arrays_are_not_copied(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rng.standard_normal((N, T, 3)), rng.standard_normal((N, 2))
    monkeypatch.setattr(resident_module, "_COPIED", x.size * 4 - 1)
    assert find_resident(Arrays(x, y), np.dtype("float32")) is None
    assert find_resident(Arrays(x, y), np.dtype("float64")) is not None
    monkeypatch.setattr(resident_module, "_COPIED", x.size * 4)
    assert find_resident(Arrays(x, y), np.dtype("float32")) is not None


def test_weights_that_all_examples_share_stay() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((4, 5, 2)), rng.standard_normal((4, 5, 1))
    shared = np.tile([0.0, 0.0, 1.0, 2.0, 1.0], (4, 1))
    found = find_resident(Arrays(x, y, weights=shared), np.dtype("float64"))
    assert found is not None
    assert found.weights_of is None
    np.testing.assert_array_equal(found.weights, shared[0])
    for weights in (np.zeros(4), np.zeros((4, 5))):
        assert find_resident(Arrays(x, y, weights=weights), np.dtype("float64")) is None
    assert find_resident(Arrays(x, y[:, 0], weights=shared), np.dtype("float64")) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_of_examples_are_those_of_their_batches(dtype: str, rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((N, T, 3)), rng.standard_normal((N, T, 2))
    steps = rng.random((N, T)) * (rng.random((N, T)) < 0.6) * (np.arange(T) > 1)
    sources = [
        Arrays(x, y, weights=steps),
        Arrays(x, y, weights=steps[:, -1]),
        Arrays(x, y[:, 0], weights=steps[:, -1]),
    ]
    for source in sources:
        found = find_resident(source, np.dtype(dtype))
        assert_same_examples(found, source, dtype)
        assert found is not None
        assert found.weights_of is not None
    assert find_resident(Arrays(x, y[:, 0], weights=steps), np.dtype(dtype)) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("own", ["float32", "float64"])
def test_partly_seen_sequences(own: str, dtype: str, rng: np.random.Generator) -> None:
    sequences = series("warm-up", own, rng)
    weights = rng.random(N) * (rng.random(N) < 0.6)
    weights[2:12] = 0
    source = PartlySeen(sequences, weights)
    assert 0 < len(source) < len(sequences)
    found = find_resident(source, np.dtype(dtype))
    assert_same_examples(found, source, dtype)
    assert found is not None
    assert found.weights_of is not None
    np.testing.assert_array_equal(found.weights, sequences.step_weights)
    # A method put in the place of another: the source is asked for its batches.
    sequences.batch = sequences.batch
    assert find_resident(source, np.dtype(dtype)) is None
    source.batch = source.batch  # type: ignore[method-assign]  # as a user might
    assert find_resident(source, np.dtype(dtype)) is None
