"""Steps that a chunk reads once more: a longer reach for the gradient, and the same state."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bptt.data import Stretches
from bptt.optim import Adam
from bptt.training import evaluate, train
from bptt.training.steps.carried import CarriedState
from tests.training.setups import assert_same_bits
from tests.training.steps.carrying import REORDERED, N, in_order, make_net, make_series, make_stretches, whole


@pytest.mark.parametrize(
    "kind",
    [{"cell": "elman"}, {"cell": "gru", "num_layers": 2}, {"cell": "lstm", "learned_initial_state": True}],
)
@pytest.mark.parametrize("segments", [None, [0, 31, 52]])
def test_with_a_lookback_over_all_that_was_the_gradients_add_up_to_full_bptt(
    rng: np.random.Generator, kind: dict[str, Any], segments: Any
) -> None:
    net = make_net(**kind)
    values = make_series(rng)
    bounds = [*(segments or [0]), N]
    source = make_stretches(values, lookback=N, segments=segments, chunk=9)
    total = {name: np.zeros_like(p) for name, p in net.parameters.items()}
    carried = CarriedState(net, source)
    steps = 0
    for c, batch in enumerate(in_order(source)):
        assert not batch.carry.any()
        count = batch.x.shape[1] if batch.weights is None else batch.weights.sum()
        found = carried.loss_and_gradients(batch, (0, c))
        steps += count
        for name, d in found.gradients.parameters.items():
            total[name] += count * d
    expected = {name: np.zeros_like(p) for name, p in net.parameters.items()}
    for a, b in pairwise(bounds):
        x, y = whole(values[a:b])
        for name, d in net.loss_and_gradients(x, y).gradients.parameters.items():
            expected[name] += x.shape[1] * d
    assert steps == N - (len(bounds) - 1)
    for name, d in expected.items():
        np.testing.assert_allclose(total[name], d, rtol=0, atol=REORDERED * abs(d).max())


@pytest.mark.parametrize(
    "kind", [{"cell": "elman"}, {"cell": "gru", "num_layers": 2, "dropout": 0.4}, {"cell": "lstm_peephole"}]
)
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("lookback", [3, 5, 12])
def test_a_lookback_goes_on_from_the_state_before_it(
    rng: np.random.Generator, kind: dict[str, Any], learned: bool, lookback: int
) -> None:
    # A row at a time: each update reads the last `lookback` steps and 5 new ones from the state before them.
    values = make_series(rng)
    kind = {**kind, "learned_initial_state": learned}
    net, by_hand = make_net(**kind), make_net(**kind)
    source = make_stretches(values, chunk=5, lookback=lookback)
    x, y = whole(values)
    optimizer = Adam(0.02)
    history = train(net, source, optimizer=optimizer, epochs=2, seed=6, progress=False)
    slots = optimizer.init(by_hand.parameters)
    losses = []
    after: Any = None
    for step in range(history.steps):
        c = step % source.steps
        begin, end = max(0, 5 * c - lookback), min(5 * c + 5, N - 1)
        state = None if begin == 0 else after
        weights = (np.arange(begin, end) >= 5 * c).astype(float)[None]
        found = by_hand.loss_and_gradients(
            x[:, begin:end], y[:, begin:end], weights=weights, state=state, dropout_key=(6, step)
        )
        onward = max(0, 5 * c + 5 - lookback)
        if onward > begin:
            after = by_hand.forward(x[:, begin:onward], state, dropout_key=(6, step)).state
        losses.append(found.loss)
        optimizer.update(by_hand.parameters, found.gradients.parameters, slots, step)
    np.testing.assert_array_equal(history.losses, losses)
    assert_same_bits(net.parameters, by_hand.parameters)


def test_a_lookback_with_streams_and_segments_is_each_row_alone(rng: np.random.Generator) -> None:
    # With weights that stand still: rows of one batch start anew at different steps and go on by different counts.
    segments = [0, 19, 23, 54, 81, 92, 125]
    net = make_net("lstm", num_layers=2, learned_initial_state=True)
    values = make_series(rng, 160)
    source = make_stretches(values, streams=3, chunk=4, lookback=7, warmup=2, segments=segments)
    carried = CarriedState(net, source)
    uneven = 0
    for c, batch in enumerate(in_order(source)):
        found = carried.loss_and_gradients(batch, (0, c))
        rows = source.target_rows(np.arange(3 * c, 3 * c + 3))
        uneven += {1, 4} <= set(batch.onward[(rows >= 0).any(axis=1)].tolist())
        for s in range(3):
            for t in np.flatnonzero(rows[s] >= 0):
                # From the row where this one started anew.
                row = int(rows[s, t]) - 1
                begin = max(first for first in starts_of(source, s) if first <= row)
                alone = net.forward(values[None, begin : row + 1]).y_hat[0, -1]
                np.testing.assert_allclose(found.y_hat[s, t], alone, rtol=0, atol=REORDERED * 10)
    assert uneven >= 2
    plain = make_stretches(values, streams=3, chunk=4, warmup=2, segments=segments)
    np.testing.assert_allclose(evaluate(net, source), evaluate(net, plain), rtol=REORDERED, atol=0)


def starts_of(source: Stretches, row: int) -> list[int]:
    """Return the rows of the series where row `row` of the batches starts anew."""
    own = [source.target_rows([k])[0] for k in range(row, len(source), source.streams)]
    first = min(int(rows[rows >= 0].min()) for rows in own if (rows >= 0).any()) - 1
    return [first, *(s for s in source.segments.tolist() if s > first)]
