"""Examples that are arrays already."""

import numpy as np
import pytest

from bptt.data import Arrays, Source
from bptt.errors import DataError, InvalidInput, InvalidType

N, T, D, K = 11, 5, 3, 2


@pytest.fixture
def x(rng):
    return rng.normal(size=(N, T, D))


def test_examples_come_in_the_order_asked_for(x, rng):
    y, weights = rng.normal(size=(N, T, K)), rng.random((N, T))
    lengths = rng.integers(1, T, size=N)
    arrays = Arrays(x, y, lengths, weights)
    order = rng.integers(N, size=8)
    batch = arrays.batch(order)
    assert isinstance(arrays, Source)
    assert len(arrays) == N
    for got, whole in zip(
        (batch.x, batch.y, batch.lengths, batch.weights), (x, y, lengths, weights), strict=True
    ):
        assert np.array_equal(got, [whole[i] for i in order])
    batch.x[:] = 0.0
    assert x.all()


@pytest.mark.parametrize("shape", [(N,), (N, T)])
def test_class_numbers_stay_whole(x, rng, shape):
    y = rng.integers(7, size=shape)
    batch = Arrays(x, y).batch([4, 2])
    assert batch.y.dtype == y.dtype
    assert np.array_equal(batch.y, y[[4, 2]])


def test_float32_stays_and_whole_inputs_become_float64(x):
    assert Arrays(x.astype(np.float32), np.zeros((N, K), np.float32)).batch([0]).x.dtype == np.float32
    assert Arrays(np.ones((N, T, D), int), np.zeros((N, K))).batch([0]).x.dtype == np.float64


def test_the_last_examples_validate(x, rng):
    y = rng.normal(size=(N, K))
    training, validation = Arrays(x, y, weights=np.arange(1.0, N + 1)).split_last(0.25)
    assert (len(training), len(validation)) == (8, 3)
    assert np.array_equal(np.concatenate([training.y, validation.y]), y)
    assert validation.weights.tolist() == [9, 10, 11]
    with pytest.raises(
        DataError, match=r"^fraction = 0.9 of 2 examples must leave one to train on. Got none$"
    ):
        Arrays(x[:2], y[:2]).split_last(0.9)


def test_what_arrays_need(x):
    def said(kind, *arguments, **options):
        with pytest.raises(kind) as caught:
            Arrays(*arguments, **options)
        return str(caught.value)

    y = np.zeros((N, K))
    hole = x.copy()
    hole[3, 1, 2] = np.nan
    assert said(InvalidInput, x[0], y) == "x must have shape (N, T, D) = (*, *, *). Got (5, 3)"
    assert said(InvalidInput, hole, y) == (
        "x must be finite. Got nan at (3, 1, 2), and 1 such entries in all: fill them, or give them no weight and any "
        "finite value"
    )
    assert said(InvalidType, x.astype(complex), y) == "x must hold real numbers. Got dtype complex128"
    assert said(DataError, x[:0], y[:0]) == (
        "x must hold at least one example of at least one step. Got shape (0, 5, 3)"
    )
    assert said(InvalidInput, x, y[1:]) == (
        "y must have shape (N, K) = (11, *) or (N, T, K) = (11, 5, *), or hold class numbers (N,) or (N, T). "
        "Got (10, 2): "
        "x has N = 11 examples of T = 5 steps"
    )
    assert said(InvalidInput, x, np.zeros((N, T + 1, K))).endswith(
        "Got (11, 6, 2): x has N = 11 examples of T = 5 steps"
    )
    assert said(InvalidInput, x, np.zeros(N)) == (
        "y must have shape (N, K) = (11, *) unless it holds class numbers. Got (11,): use y[:, None]"
    )
    assert said(InvalidType, x, np.full(N, "a")).startswith(
        "y must hold real numbers or whole class numbers. Got dtype"
    )
    assert "y must be finite. Got inf at (2, 1)" in said(
        InvalidInput, x, np.where(np.arange(22).reshape(N, K) == 5, np.inf, 0.0)
    )
    assert said(InvalidInput, x, y, [1] * (N - 1) + [6]) == (
        "lengths must lie in 1..T = 1..5. Got 6 in row 10: drop empty sequences, or pass a longer x"
    )
    assert said(InvalidInput, x, y, weights=np.ones((N, K))) == (
        "weights must have shape (N,) = (11,) or (N, T) = (11, 5). Got (11, 2)"
    )
    assert said(InvalidInput, x, y, weights=np.full(N, -0.5)) == "weights must not be negative. Got -0.5"
    assert said(InvalidType, x, y, weights=np.full(N, "a")).startswith("weights must hold numbers. Got dtype")
    assert repr(Arrays(x, y)) == "Arrays(11 examples, x (11, 5, 3), y (11, 2))"
