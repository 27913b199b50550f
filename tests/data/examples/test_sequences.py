"""Long sequences against a plain loop."""

import numpy as np
import pytest

from bptt.data import Sequences, Source
from bptt.errors import DataError, InvalidInput


def test_sequences_agree_with_a_plain_loop(rng):
    for _ in range(60):
        columns = int(rng.integers(1, 5))
        length, horizon = int(rng.integers(1, 15)), int(rng.integers(1, 6))
        rows = int(rng.integers(length + horizon, 70))
        warmup = int(rng.integers(length))
        inputs = rng.integers(columns, size=rng.integers(1, 5)).tolist()
        targets = rng.integers(columns, size=rng.integers(1, 4)).tolist()
        dtype = ("float32", "float64")[int(rng.integers(2))]
        values = rng.normal(size=(rows, columns))
        sequences = Sequences(
            values,
            inputs=inputs,
            targets=targets,
            length=length,
            warmup=warmup,
            horizon=horizon,
            dtype=dtype,
        )
        starts = range(rows - length - horizon + 1)
        assert isinstance(sequences, Source)
        assert sequences.starts.tolist() == list(starts)
        order = rng.integers(len(sequences), size=7)
        batch = sequences.batch(order)
        x = [[[values[s + t, d] for d in inputs] for t in range(length)] for s in order]
        y = [[[values[s + t + horizon, k] for k in targets] for t in range(length)] for s in order]
        assert np.array_equal(batch.x, np.array(x).astype(dtype))
        assert np.array_equal(batch.y, np.array(y).astype(dtype))
        assert np.array_equal(batch.weights, [[float(t >= warmup) for t in range(length)]] * 7)
        assert {batch.x.dtype, batch.y.dtype, batch.weights.dtype} == {np.dtype(dtype)}
        assert batch.lengths is None


def test_no_sequence_crosses_into_another_segment(rng):
    values = rng.normal(size=(40, 2))
    sequences = Sequences(values, targets=[1], length=8, horizon=2, segments=[0, 9, 23])
    assert sequences.starts.tolist() == [*range(9, 14), *range(23, 31)]


def test_one_sequence_can_be_the_whole_series(rng):
    values = rng.normal(size=(50, 3))
    batch = Sequences(values, targets=[0], length=49, warmup=24).batch([0])
    assert np.array_equal(batch.x[0], values[:-1])
    assert np.array_equal(batch.y[0], values[1:, :1])


def test_the_split_shares_no_row_between_the_parts(rng):
    sequences = Sequences(rng.normal(size=(300, 2)), targets=[0], length=30, warmup=5, horizon=4)
    training, validation = sequences.split_last(0.25)
    assert training.starts[-1] + 34 == validation.starts[0]
    assert len(validation) == round(0.25 * len(sequences))
    assert (validation.warmup, validation.length, validation.horizon) == (5, 30, 4)


def test_what_sequences_need():
    def said(kind, rows=20, **options):
        with pytest.raises(kind) as caught:
            Sequences(np.zeros((rows, 2)), **({"targets": [0], "length": 8} | options))
        return str(caught.value)

    assert said(InvalidInput, warmup=8) == "warmup must be below length = 8. Got 8: no step would count"
    assert said(InvalidInput, warmup=-1) == "warmup must be at least 0. Got -1"
    assert said(DataError, rows=8) == (
        "rows must be at least length + horizon = 8 + 1 = 9 for one example. Got 8: use more rows or a shorter length"
    )
    with pytest.raises(InvalidInput, match="the source has 12 examples"):
        Sequences(np.zeros((20, 2)), targets=[0], length=8).batch([12])


def test_the_text_of_sequences_names_its_sizes():
    assert repr(Sequences(np.zeros((20, 2)), targets=[0], length=8, warmup=3)) == (
        "Sequences(12 examples, length=8, warmup=3, horizon=1, inputs=(0, 1), targets=(0,), dtype=float64)"
    )
