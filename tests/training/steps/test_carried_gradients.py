"""The gradient of truncated BPTT: the states at the borders of chunks are constants, all else is full BPTT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.optim import SGD, global_norm
from bptt.training import train
from bptt.training.steps.carried import CarriedState
from tests.training.setups import assert_same_bits
from tests.training.steps.carrying import (
    DIFFERENCE,
    KINDS,
    REORDERED,
    N,
    in_order,
    make_net,
    make_series,
    make_stretches,
    whole,
)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_chunk_of_the_whole_series_is_full_bptt(
    rng: np.random.Generator, kind: dict[str, Any], dtype: str
) -> None:
    values = make_series(rng)
    x, y = whole(values, dtype)
    net, by_hand = make_net(**kind, dtype=dtype), make_net(**kind, dtype=dtype)
    source = make_stretches(values, chunk=N - 1, dtype=dtype)
    found = CarriedState(net, source).loss_and_gradients(source.batch([0]), (0, 0))
    full = by_hand.loss_and_gradients(x, y)
    assert found.loss == full.loss
    assert_same_bits(found.gradients.parameters, full.gradients.parameters)

    optimizer = SGD(0.05)
    history = train(net, source, optimizer=optimizer, epochs=1, progress=False)
    optimizer.update(by_hand.parameters, full.gradients.parameters, optimizer.init(by_hand.parameters), 0)
    assert history.steps == 1
    assert_same_bits(net.parameters, by_hand.parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_the_truncated_gradient_holds_the_states_at_the_borders_constant(
    rng: np.random.Generator, kind: dict[str, Any]
) -> None:
    values = make_series(rng)
    net = make_net(**kind)
    source = make_stretches(values)
    x, y = whole(values)
    carried = CarriedState(net, source)
    losses, total = [], {name: np.zeros_like(p) for name, p in net.parameters.items()}
    state: Any = None
    y_start: Any = None
    for c, batch in enumerate(in_order(source)):
        steps = slice(7 * c, 7 * c + 7)
        found = carried.loss_and_gradients(batch, (0, c))
        # The same call by hand: the state that the last one ended with, as a number.
        expected = net.loss_and_gradients(x[:, steps], y[:, steps], state=state, y_start=y_start)
        state = {name: s.copy() for name, s in expected.state.items()}
        y_start = expected.y_hat[:, -1].copy() if net.feedback else None
        assert found.loss == expected.loss
        assert_same_bits(found.gradients.parameters, expected.gradients.parameters)
        np.testing.assert_array_equal(found.y_hat, expected.y_hat)
        losses.append(found.loss * batch.x.shape[1])
        for name, d in found.gradients.parameters.items():
            total[name] += d * batch.x.shape[1] / (N - 1)

    # With weights that stand still, the chunks see what one pass sees; their gradients add up to the gradient of the
    # whole loss with the states at the borders held constant, by central differences along a random direction.
    full = net.loss_and_gradients(x, y)
    np.testing.assert_allclose(sum(losses) / (N - 1), full.loss, rtol=REORDERED, atol=0)
    direction = {name: rng.standard_normal(p.shape) for name, p in net.parameters.items()}

    def truncated_loss(eps: float) -> float:
        moved = {name: p + eps * direction[name] for name, p in net.parameters.items()}
        state: Any = None
        y_start: Any = None
        added = 0.0
        for c in range(source.steps):
            steps = slice(7 * c, 7 * c + 7)
            part = net.loss_value(x[:, steps], y[:, steps], state=state, y_start=y_start, parameters=moved)
            added += part * x[:, steps].shape[1]
            still = net.forward(x[:, steps], state=state, y_start=y_start)
            state, y_start = still.state, still.y_hat[:, -1] if net.feedback else None
        return float(added / (N - 1))

    eps = 1e-5
    slope = (truncated_loss(eps) - truncated_loss(-eps)) / (2 * eps)
    along = sum(float(np.sum(total[name] * direction[name])) for name in total)
    np.testing.assert_allclose(along, slope, rtol=DIFFERENCE, atol=DIFFERENCE)
    # And it is not the full gradient.
    full_along = sum(float(np.sum(full.gradients.parameters[name] * direction[name])) for name in total)
    assert abs(full_along - along) > 1e-4


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm_peephole"])
def test_what_truncation_leaves_out_is_what_would_cross_the_borders(
    rng: np.random.Generator, cell: str
) -> None:
    net = make_net(cell, num_layers=2)
    values = make_series(rng)
    source = make_stretches(values)
    x, y = whole(values)
    truncated = {name: np.zeros_like(p) for name, p in net.parameters.items()}
    carried = CarriedState(net, source)
    starts = [None]
    for c, batch in enumerate(in_order(source)):
        found = carried.loss_and_gradients(batch, (0, c))
        starts.append({name: s.copy() for name, s in found.state.items()})
        for name, d in found.gradients.parameters.items():
            truncated[name] += d * batch.x.shape[1] / (N - 1)
    # From the last chunk to the first, dL/d(final state) of a chunk is what the next one sends back, and nothing else.
    crossing = {name: np.zeros_like(p) for name, p in net.parameters.items()}
    dstate = None
    for c in range(source.steps - 1, -1, -1):
        steps = slice(7 * c, 7 * c + 7)
        record = net.forward(x[:, steps], starts[c])
        _, dy_hat = net.loss.value_and_gradient(record.y_hat, y[:, steps])
        share = x[:, steps].shape[1] / (N - 1)
        if dstate is not None:
            for name, d in net.backward(record, None, dstate).parameters.items():
                crossing[name] += d
        dstate = net.backward(record, dy_hat * share, dstate).state
    full = net.loss_and_gradients(x, y).gradients.parameters
    for name, d in full.items():
        np.testing.assert_allclose(truncated[name] + crossing[name], d, rtol=0, atol=REORDERED * abs(d).max())
    assert max(np.abs(d).max() for d in crossing.values()) > 1e-3


@pytest.mark.parametrize("feedback", [False, True])
def test_a_learned_initial_state_learns_from_the_rows_that_start_anew(
    rng: np.random.Generator, feedback: bool
) -> None:
    net = make_net("lstm", num_layers=2, learned_initial_state=True, feedback=feedback)
    source = make_stretches(make_series(rng), streams=4, chunk=4, segments=[0, 19, 23, 54, 61])
    carried = CarriedState(net, source)
    last: Any = None
    seen = 0
    for c, batch in enumerate(in_order(source)):
        found = carried.loss_and_gradients(batch, (0, c))
        anew = ~batch.carry
        if 0 < anew.sum() < 4:
            seen += 1
            fed = {"y_start": np.where(anew[:, None], 0.0, last.y_hat[:, -1])} if feedback else {}
            for name in net.recurrent.states:
                start = net.parameters[f"initial.{name}"]
                direction = rng.standard_normal(start.shape)
                moved = []
                for eps in (1e-5, -1e-5):
                    starts = {each: net.parameters[f"initial.{each}"] for each in net.recurrent.states}
                    starts[name] = start + eps * direction
                    state = {
                        each: np.where(anew[:, None], starts[each][:, None], final)
                        for each, final in last.state.items()
                    }
                    moved.append(net.loss_value(batch.x, batch.y, weights=batch.weights, state=state, **fed))
                along = float(np.sum(found.gradients.parameters[f"initial.{name}"] * direction))
                assert along
                np.testing.assert_allclose(along, (moved[0] - moved[1]) / 2e-5, rtol=DIFFERENCE, atol=1e-9)
        last = found
    assert seen >= 2


def test_gradient_norms_are_those_of_the_truncated_gradient(rng: np.random.Generator) -> None:
    source = make_stretches(make_series(rng), streams=2)
    net = make_net()
    carried = CarriedState(net, source)
    norms = [
        global_norm(carried.loss_and_gradients(batch, (0, c)).gradients.parameters)
        for c, batch in enumerate(in_order(source))
    ]
    history = train(net, source, optimizer=SGD(1e-300), epochs=1, progress=False)
    np.testing.assert_array_equal(history.gradient_norms, norms)
