"""`train` with carried state: which state each row starts from, in every step of every run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bptt.data import Sequences, Stretches, Windows
from bptt.network import Network, Recurrent
from bptt.optim import SGD, Adam, ClipNorm
from bptt.training import evaluate, predict_source, train
from bptt.training.steps import carried as carried_module
from bptt.training.steps.carried import draw
from tests.training.setups import Trail, assert_same_bits, differ
from tests.training.steps.carrying import (
    KINDS,
    REORDERED,
    Clicks,
    D,
    K,
    N,
    in_order,
    make_net,
    make_series,
    make_stretches,
    needs_llvmlite,
    whole,
)


@pytest.mark.parametrize(
    "kind",
    [
        *KINDS,
        pytest.param({"cell": "lstm", "engine": "compiled"}, marks=needs_llvmlite),
        pytest.param(
            {"cell": "gru", "engine": "compiled", "learned_initial_state": True}, marks=needs_llvmlite
        ),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_run_is_a_plain_loop_with_the_state_of_each_row_by_hand(
    rng: np.random.Generator, kind: dict[str, Any], dtype: str
) -> None:
    segments = [0, 19, 23, 54]
    values = make_series(rng)
    source = make_stretches(values, streams=3, warmup=2, segments=segments, horizon=2, dtype=dtype)
    kind = {"num_layers": 2, "dropout": 0.4, **kind, "dtype": dtype}
    net, by_hand = make_net(**kind), make_net(**kind)
    optimizer, clip = Adam(0.02), ClipNorm(0.3)
    total = 2 * source.steps + 3
    history = train(net, source, optimizer=optimizer, steps=total, seed=8, clip=clip, progress=False)
    assert history.steps == total

    slots = optimizer.init(by_hand.parameters)
    batches = list(in_order(source))
    # Rows start anew where their first step is the first of a segment, and in the first batch of an epoch.
    first_rows = [source.target_rows(np.arange(3 * c, 3 * c + 3))[:, 0] - 2 for c in range(source.steps)]
    losses = []
    mixed = 0
    last: Any = None
    for step in range(total):
        c = step % source.steps
        batch = batches[c]
        anew = np.array([c == 0 or row < 0 or row in segments for row in first_rows[c]])
        mixed += 0 < anew.sum() < 3
        options = {}
        if not anew.all():
            options["state"] = {}
            for name, final in last.state.items():
                rows = final.copy()
                if by_hand.learned_initial_state:
                    rows[:, anew] = by_hand.parameters[f"initial.{name}"][:, None]
                else:
                    rows[:, anew] = 0
                options["state"][name] = rows
            if by_hand.feedback:
                options["y_start"] = last.y_hat[:, -1].copy()
                options["y_start"][anew] = 0
        last = by_hand.loss_and_gradients(
            batch.x, batch.y, weights=batch.weights, dropout_key=(8, step), **options
        )
        gradients = last.gradients.parameters
        if by_hand.learned_initial_state and not anew.all():
            for name in by_hand.recurrent.states:
                gradients[f"initial.{name}"] = last.gradients.state[name][:, anew].sum(axis=1)
        losses.append(last.loss)
        clip(gradients)
        optimizer.update(by_hand.parameters, gradients, slots, step)
    assert mixed >= 2
    np.testing.assert_array_equal(history.losses, losses)
    assert_same_bits(net.parameters, by_hand.parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_and_loss_are_those_of_one_pass(rng: np.random.Generator, kind: dict[str, Any]) -> None:
    net = make_net(**kind)
    values = make_series(rng)
    x, y = whole(values, horizon=3)
    source = make_stretches(values, horizon=3)
    found = predict_source(net, source)
    rows = source.target_rows(np.arange(len(source)))
    assert found.shape == (12, 7, K)
    expected = net.forward(x).y_hat[0]
    np.testing.assert_allclose(found[rows >= 0], expected, rtol=REORDERED, atol=REORDERED)
    assert not found[rows < 0].any()
    np.testing.assert_allclose(evaluate(net, source), net.loss_value(x, y), rtol=REORDERED, atol=0)
    # One row a segment, without what the warm-up leaves out.
    warm = make_stretches(values, streams=3, warmup=4, segments=[0, 28, 56], horizon=3)
    each = [whole(values[a:b], horizon=3) for a, b in ((0, 28), (28, 56), (56, N))]
    losses = [
        (net.loss_value(x, y, weights=(np.arange(x.shape[1]) >= 4.0)[None]), x.shape[1] - 4) for x, y in each
    ]
    expected = sum(loss * count for loss, count in losses) / sum(count for _, count in losses)
    np.testing.assert_allclose(evaluate(net, warm), expected, rtol=REORDERED, atol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_same_seed_gives_the_same_bits(rng: np.random.Generator, dtype: str) -> None:
    source = make_stretches(make_series(rng), streams=4, dtype=dtype)

    def run(seed: int, threads: int) -> Network:
        net = make_net("gru", dtype, num_layers=2, dropout=0.3)
        with threadpool_limits(threads):
            train(net, source, epochs=3, seed=seed, clip=0.5, progress=False)
        return net

    first = run(3, 1)
    assert_same_bits(run(3, 2).parameters, first.parameters)
    assert differ(run(4, 1).parameters, first.parameters)


def test_validation_carries_a_state_of_its_own(rng: np.random.Generator) -> None:
    values = make_series(rng, 240)
    training, validation = make_stretches(values, streams=4, warmup=3).split_last(0.3)
    net, alone = make_net(), make_net()
    trail = Trail(net)
    history = train(
        net, training, epochs=3, validation=validation, early_stopping=9, callbacks=[trail], progress=False
    )
    train(alone, training, epochs=3, progress=False)
    steps = training.steps
    assert [step for step, _ in history.validation] == [steps, 2 * steps, 3 * steps]
    losses = []
    for step in (steps, 2 * steps, 3 * steps):
        used = make_net()
        for name, p in used.parameters.items():
            p[...] = trail.weights[step][name]
        last: Any = None
        added = count = 0.0
        for c, batch in enumerate(in_order(validation)):
            state = None if c == 0 else last.state
            last = used.forward(batch.x, state)
            share = batch.y[..., 0].size if batch.weights is None else batch.weights.sum()
            added += share * used.loss.value(last.y_hat, batch.y, batch.weights)
            count += share
        losses.append(added / count)
    np.testing.assert_allclose([loss for _, loss in history.validation], losses, rtol=REORDERED, atol=0)
    best = int(np.argmin(losses))
    assert history.best_step == (best + 1) * steps
    assert_same_bits(net.parameters, trail.weights[history.best_step])
    # Evaluation took nothing from the state that training carries.
    assert_same_bits(alone.parameters, trail.weights[-1])


def test_windows_can_validate_stretches_and_the_other_way_round(rng: np.random.Generator) -> None:
    values = make_series(rng)
    stretches = make_stretches(values, streams=2)
    examples = values[:70].reshape(10, 7, D), values[:70, [2, 0]].reshape(10, 7, K)
    for data, validation in ((stretches, examples), (examples, stretches)):
        history = train(make_net(), data, steps=4, validation=validation, progress=False)
        assert len(history.validation) == 4


def test_what_was_read_in_the_chunk_before_is_remembered(rng: np.random.Generator) -> None:
    # The target is the input of two steps before: for two of the three steps of a chunk it was read in the last one.
    x = rng.standard_normal((4003, 1))
    values = np.column_stack([x, np.roll(x, 3)])
    options: dict[str, Any] = {"inputs": [0], "targets": [1], "dtype": "float32"}
    sources = Stretches(values, chunk=3, streams=5, **options), Sequences(values, length=3, **options)
    losses = []
    for source, batch_size in zip(sources, (None, 5), strict=True):
        net = Network(Recurrent("gru", 1, 12, seed=2, dtype="float32"), readout="every", seed=2)
        history = train(net, source, optimizer=Adam(0.01), steps=1000, batch_size=batch_size, progress=False)
        losses.append(history.last_losses_mean(50))
    assert losses[0] < 0.1
    # Two of three targets are unknowable there, of variance 1.
    assert losses[1] > 0.5


class InterruptAt:
    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, event: Any) -> None:
        if event.step == self.step:
            raise KeyboardInterrupt


def test_an_interrupt_keeps_whole_updates(rng: np.random.Generator) -> None:
    source = make_stretches(make_series(rng), streams=3)
    net, other = make_net(), make_net()
    history = train(net, source, epochs=9, callbacks=[InterruptAt(6)], progress=False)
    assert (history.stopped_because, history.steps) == ("interrupted", 7)
    expected = train(other, source, steps=7, progress=False)
    np.testing.assert_array_equal(history.losses, expected.losses)
    assert_same_bits(net.parameters, other.parameters)


def test_a_second_run_starts_from_no_state(rng: np.random.Generator) -> None:
    source = make_stretches(make_series(rng), streams=3)
    net, other = make_net(), make_net()
    train(net, source, steps=5, progress=False)
    for name, p in other.parameters.items():
        p[...] = net.parameters[name]
    train(net, source, steps=5, progress=False)
    train(other, source, steps=5, progress=False)
    assert_same_bits(net.parameters, other.parameters)


def test_chunks_are_drawn_in_order_epoch_after_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried_module, "BLOCK_STEPS", 4)
    for steps in (3, 4, 7, 14, 17):
        blocks = list(draw(21, 3, steps, "in order", 0))
        drawn = np.concatenate(blocks)
        np.testing.assert_array_equal(drawn, [[3 * (k % 7) + s for s in range(3)] for k in range(steps)])
        assert max(len(block) for block in blocks) <= 4


def test_a_source_of_ones_own_may_carry(rng: np.random.Generator) -> None:
    source = Clicks(rng)
    net, by_hand = (make_net("gru", readout="last", loss="cross_entropy") for _ in range(2))
    optimizer = SGD(0.1)
    train(net, source, optimizer=optimizer, epochs=1, progress=False)
    slots = optimizer.init(by_hand.parameters)
    last: Any = None
    for step in range(3):
        rows = slice(4 * step, 4 * step + 4)
        state = last and {"h": np.where(source.carry[rows, None], last.state["h"], 0)}
        last = by_hand.loss_and_gradients(source.x[rows], source.y[rows], state=state)
        optimizer.update(by_hand.parameters, last.gradients.parameters, slots, step)
    assert_same_bits(net.parameters, by_hand.parameters)


def test_windows_still_have_their_defaults(rng: np.random.Generator) -> None:
    values = make_series(rng)
    windows = Windows(values, targets=[2, 0], length=6)
    first, second = (make_net("gru", readout="last") for _ in range(2))
    train(first, windows, steps=4, progress=False)
    train(second, windows, steps=4, batch_size=32, sampling="random", progress=False)
    assert_same_bits(first.parameters, second.parameters)
