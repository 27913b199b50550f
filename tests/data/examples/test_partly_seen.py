"""Sequences of which some targets are missing: what counts, by the rows' weights."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.data import Sequences
from bptt.data.examples.partly_seen import PartlySeen
from bptt.errors import InvalidInput

N, T, WARMUP = 41, 6, 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_examples_and_their_weights(dtype: str, rng: np.random.Generator) -> None:
    values = rng.standard_normal((N, 5))
    sequences = Sequences(
        values, inputs=(4, 0, 2), targets=(1, 3), length=T, warmup=WARMUP, segments=(0, 17), dtype=dtype
    )
    weights = np.where(rng.random(N) < 0.4, 0, rng.uniform(0.2, 2.0, N))
    weights[5:14] = 0
    # Of the row before the first target of the first sequence: its warm-up alone.
    weights[:3] = 1.0, 1.0, 0.0
    source = PartlySeen(sequences, weights)
    counted = [
        start for start in sequences.starts if any(weights[start + t] > 0 for t in range(WARMUP, T))
    ]  # fmt: skip
    assert 0 < len(source) == len(counted) < len(sequences)
    np.testing.assert_array_equal(source.starts, counted)
    indices = rng.permutation(len(source))
    batch = source.batch(indices)
    assert batch.weights is not None
    assert batch.weights.dtype == dtype
    np.testing.assert_array_equal(source.weights_of(indices), batch.weights)
    for k, index in enumerate(indices):
        first = counted[index]
        np.testing.assert_array_equal(batch.x[k], values[first : first + T][:, [4, 0, 2]].astype(dtype))
        np.testing.assert_array_equal(batch.y[k], values[first + 1 : first + T + 1][:, [1, 3]].astype(dtype))
        for t in range(T):
            expected = 0.0 if t < WARMUP else weights[first + t].astype(dtype)
            assert batch.weights[k, t] == expected


def test_indices_beyond_the_examples_that_count_are_refused(rng: np.random.Generator) -> None:
    sequences = Sequences(rng.standard_normal((N, 3)), targets=(1,), length=T)
    weights = np.zeros(N)
    weights[20] = 1.0
    source = PartlySeen(sequences, weights)
    assert len(source) == T
    with pytest.raises(InvalidInput, match=r"^indices must lie in 0\.\.len-1 = 0\.\.5\. Got 6"):
        source.batch([6])


def test_nothing_that_counts(rng: np.random.Generator) -> None:
    sequences = Sequences(rng.standard_normal((N, 3)), targets=(1,), length=T)
    assert len(PartlySeen(sequences, np.zeros(N))) == 0
