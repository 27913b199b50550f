from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.data.examples.arrays import Arrays
from bptt.errors import InvalidInput
from bptt.losses import CrossEntropy, Huber, Squared
from bptt.training import evaluate, predict_source
from tests.training.setups import D, K, N, Recording, T, make_data, make_net

# Sums of N float64 losses in another order.
REORDERED = 1e-13


@pytest.mark.parametrize("time", ["mean", "sum"])
@pytest.mark.parametrize("weights", [None, "rows", "steps"])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("loss", ["huber", "classes"])
def test_in_batches_as_in_one_for_every_step(
    rng: np.random.Generator, time: str, weights: str | None, ragged: bool, loss: str
) -> None:
    x = rng.standard_normal((N, T, D))
    classes = loss == "classes"
    y = rng.integers(0, K, (N, T)) if classes else rng.standard_normal((N, T, K))
    rows = {None: None, "rows": rng.uniform(0, 3, N), "steps": rng.uniform(0, 3, (N, T))}[weights]
    if rows is not None:
        rows[rng.random(N) < 0.4] = 0.0
        rows[14:21] = 0.0  # a whole batch that does not count
    lengths = rng.integers(1, T + 1, N) if ragged else None
    net = make_net(readout="every", loss=CrossEntropy(time=time) if classes else Huber(0.7, time=time))
    whole = net.loss_value(x, y, weights=rows, lengths=lengths)
    source = Arrays(x, y, lengths, rows)
    np.testing.assert_allclose(evaluate(net, source, 7), whole, rtol=REORDERED, atol=0)
    np.testing.assert_allclose(evaluate(net, source), whole, rtol=REORDERED, atol=0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_in_batches_as_in_one_for_the_last_step(
    rng: np.random.Generator, weighted: bool, ragged: bool
) -> None:
    x, y = make_data(rng)
    weights = rng.uniform(0, 3, N) if weighted else None
    lengths = rng.integers(1, T + 1, N) if ragged else None
    net = make_net("lstm", loss=Squared(time="sum"))
    source = Recording(x, y, lengths=lengths, weights=weights)
    np.testing.assert_allclose(
        evaluate(net, source, 7),
        net.loss_value(x, y, weights=weights, lengths=lengths),
        rtol=REORDERED,
        atol=0,
    )
    assert [len(rows) for rows in source.drawn] == 7 * [7] + [4]
    assert list(np.concatenate(source.drawn)) == list(range(N))


def test_a_pair_of_arrays_will_do(rng: np.random.Generator) -> None:
    x, y = make_data(rng)
    net = make_net()
    assert evaluate(net, (x, y)) == net.loss_value(x, y)


@pytest.mark.parametrize("readout", ["last", "every"])
def test_predictions_come_in_order(rng: np.random.Generator, readout: str) -> None:
    x = rng.standard_normal((N, T, D))
    y = np.zeros((N, T, K) if readout == "every" else (N, K))
    lengths = rng.integers(1, T + 1, N)
    net = make_net("lstm", readout=readout)
    found = predict_source(net, Arrays(x, y, lengths), batch_size=7)
    expected = net.predict(x, lengths)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=REORDERED, atol=1e-15)


def test_dropout_is_off(rng: np.random.Generator) -> None:
    x, y = make_data(rng)
    net = make_net(dropout=0.9)
    assert (
        evaluate(net, (x, y)) == net.loss_value(x, y) != net.loss_and_gradients(x, y, dropout_key=(0, 0)).loss
    )


def test_what_is_not_finite_is_returned_without_a_warning(rng: np.random.Generator) -> None:
    x, y = make_data(rng)
    net = make_net(linear_lags=1)
    net.parameters["linear.W_xy"][...] = 1e300
    assert evaluate(net, (x, y)) == np.inf


def test_what_does_not_fit_is_said(rng: np.random.Generator) -> None:
    x, y = make_data(rng)
    nothing: Any = Arrays(x, y, weights=np.zeros(N))
    with pytest.raises(
        InvalidInput, match=r"^source must hold at least one target with a weight above 0. Got only zeros$"
    ):
        evaluate(make_net(), nothing)
    with pytest.raises(InvalidInput, match=r"^batch_size must be at least 1. Got 0$"):
        evaluate(make_net(), (x, y), 0)
    with pytest.raises(InvalidInput, match=r"^batch_size must be at least 1. Got -1$"):
        predict_source(make_net(), (x, y), -1)
