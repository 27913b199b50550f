"""Truncated BPTT with carried state: what its gradient is, where the state starts anew, and that `train` does it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bptt.data import Arrays, Batch, Sequences, Stretches, Windows
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from bptt.optim import SGD, Adam, ClipNorm, global_norm
from bptt.training import evaluate, predict_source, train
from bptt.training.steps import carried as carried_module
from bptt.training.steps.carried import CarriedState, draw
from tests.training.setups import Trail, assert_same_bits, copy_of, differ

needs_llvmlite = pytest.mark.skipif(
    find_spec("llvmlite") is None, reason="the compiled engine needs llvmlite"
)


@pytest.fixture(autouse=True, scope="module")
def _kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


# Rows, inputs, outputs, hidden units: all different.
N, D, K, H = 83, 3, 2, 5
# One pass over the whole series against many: products of other shapes.
REORDERED = 1e-12
# A central difference of float64 losses.
DIFFERENCE = 1e-7


def make_net(cell: str = "lstm", dtype: str = "float64", **options: Any) -> Network:
    names = ("num_layers", "dropout", "direction", "engine")
    layers = {name: options.pop(name) for name in names if name in options}
    size = D + K if options.get("feedback") else D
    net = Network(
        Recurrent(cell, size, H, dtype=dtype, seed=4, **layers), K, readout=options.pop("readout", "every"),
        seed=5, **options,
    )  # fmt: skip
    rng = np.random.default_rng(6)
    for p in net.parameters.values():
        p += 0.3 * rng.standard_normal(p.shape).astype(dtype)
    return net


def make_series(rng: np.random.Generator, rows: int = N) -> Any:
    return rng.standard_normal((rows, D))


def make_stretches(values: Any, **options: Any) -> Stretches:
    return Stretches(values, **({"targets": [2, 0], "chunk": 7} | options))


def in_order(source: Any) -> Iterator[Batch]:
    for first in range(0, len(source), source.streams):
        yield source.batch(np.arange(first, first + source.streams))


def whole(values: Any, dtype: str = "float64", horizon: int = 1) -> tuple[Any, Any]:
    """Return the series as one example (1, T, D) with its targets."""
    return values[None, :-horizon].astype(dtype), values[None, horizon:, [2, 0]].astype(dtype)


KINDS = [
    {"cell": "elman"},
    {"cell": "gru", "num_layers": 2},
    {"cell": "lstm_peephole", "learned_initial_state": True},
    {"cell": "lstm", "feedback": True},
    {"cell": "gru", "feedback": True, "learned_initial_state": True, "output_activation": "tanh"},
    {"cell": "elman", "linear_lags": 1, "change_of": [2, 0], "change_scale": 0.7},
]


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


class Clicks:
    """A source of the user's own: classes of the last step, 4 rows that go on now and then."""

    streams = 4
    onward: Any = None

    def __init__(self, rng: np.random.Generator) -> None:
        self.x = rng.standard_normal((12, 6, D))
        self.y = rng.integers(0, K, 12)
        self.carry = np.array(4 * [False] + [True, False, True, True] + [False, True, True, False])

    def __len__(self) -> int:
        return 12

    def batch(self, indices: Any) -> Batch:
        return Batch(self.x[indices], self.y[indices], carry=self.carry[indices], onward=self.onward)


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


SERIES = np.random.default_rng(1).standard_normal((40, D))


@pytest.mark.parametrize(
    ("options", "settings", "message"),
    [
        (
            {}, {"batch_size": 32},
            "batch_size must be left out with Stretches, which is read in order, streams = 2 examples a step. Got 32",
        ),
        (
            {}, {"sampling": "shuffled"},
            "sampling must be left out with Stretches, which is read in order, streams = 2 examples a step. "
            "Got 'shuffled'",
        ),
        (
            {"direction": "bidirectional"}, {},
            "net must run forward in time to carry its state through Stretches. Got direction 'bidirectional'",
        ),
        (
            {"linear_lags": 2}, {},
            "linear_lags must be at most 1 with Stretches: a chunk does not hold the rows before it. Got 2: train on "
            "Sequences, or add the path after training",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(options: dict[str, Any], settings: dict[str, Any], message: str) -> None:
    net = make_net(**options)
    before = copy_of(net)
    source = make_stretches(SERIES, streams=2)
    with pytest.raises(InvalidInput) as caught:
        train(net, source, steps=2, progress=False, **settings)
    assert str(caught.value) == message
    if not settings:
        pair = np.zeros((5, 6, D)), np.zeros((5, 6, K))
        with pytest.raises(InvalidInput) as caught:
            train(net, pair, steps=2, validation=source, progress=False)
        assert str(caught.value) == message
        with pytest.raises(InvalidInput) as caught:
            evaluate(net, source)
        assert str(caught.value) == message
    assert_same_bits(net.parameters, before)


def test_a_readout_of_the_last_step_does_not_fit_targets_at_every_step() -> None:
    with pytest.raises(InvalidInput, match=r"^net must have readout='every' with Stretches, .* Got 'last'$"):
        train(make_net(readout="last"), make_stretches(SERIES, streams=2), steps=1, progress=False)


def test_feedback_and_lookback_do_not_go_together() -> None:
    with pytest.raises(InvalidInput) as caught:
        train(make_net(feedback=True), make_stretches(SERIES, lookback=2), steps=1, progress=False)
    assert str(caught.value) == (
        "onward must be left out for a network with feedback, whose outputs are part of its state. Got it: use chunks "
        "that do not overlap (lookback=0)"
    )


def test_what_a_source_of_ones_own_must_keep_to(rng: np.random.Generator) -> None:
    def said(kind: type[Exception], **changed: Any) -> str:
        source = Clicks(np.random.default_rng(0))
        for name, value in changed.items():
            setattr(source, name, value)
        with pytest.raises(kind) as caught:
            train(make_net("gru", readout="last", loss="cross_entropy"), source, epochs=1, progress=False)
        return str(caught.value)

    assert said(InvalidInput, streams=5) == (
        "Clicks: the number of examples must be a multiple of streams = 5. Got 12"
    )
    assert said(InvalidType, streams=2.0) == "Clicks.streams must be a whole number. Got 2.0"
    assert said(InvalidInput, carry=np.ones(12, bool)) == (
        "carry must be for rows of the batch before. Got 4 rows after no batch"
    )
    assert said(InvalidInput, carry=np.ones(12)) == (
        "carry must be booleans of shape (B,) = (4,). Got float64 of shape (4,)"
    )

    assert said(InvalidInput, onward=np.array([1.0, 2, 3, 4])) == (
        "onward must be whole numbers of at least 0, shape (B,) = (4,). Got float64 of shape (4,)"
    )

    class Unordered:
        def __len__(self) -> int:
            return 12

        batch = Clicks(rng).batch

    with pytest.raises(InvalidType) as caught:
        train(make_net("gru", readout="last", loss="cross_entropy"), Unordered(), steps=1, progress=False)
    assert str(caught.value) == (
        "carry must come from a source that is read in order. Got it from a source without streams: give the source "
        "that attribute (see bptt.data.Streams)"
    )


def test_a_batch_of_which_nothing_counts_is_named(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((40, 6, D)), rng.standard_normal((40, 6, K))
    weights = rng.uniform(1, 2, (40, 6))
    weights[5:] = 0
    net = make_net()
    trail = Trail(net)
    with pytest.raises(InvalidInput) as caught:
        train(net, Arrays(x, y, weights=weights), steps=99, batch_size=4, callbacks=[trail], progress=False)
    step = len(trail.weights) - 1
    assert str(caught.value).startswith(
        f"weights of each batch must hold at least one number above 0. Got only zeros at step {step}, examples "
    )
    assert str(caught.value).endswith(
        " and 1 more: leave out examples that do not count, or use a larger batch_size"
    )
    assert_same_bits(net.parameters, trail.weights[step])
    # Steps past a row's length do not count either.
    late = np.zeros((40, 6))
    late[:, 4:] = 1
    with pytest.raises(InvalidInput, match=r"Got only zeros at step 0, examples \d+, \d+: leave out"):
        train(
            net, Arrays(x, y, np.full(40, 3), late), steps=1, batch_size=2, progress=False
        )  # fmt: skip


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


def test_windows_still_have_their_defaults(rng: np.random.Generator) -> None:
    values = make_series(rng)
    windows = Windows(values, targets=[2, 0], length=6)
    first, second = (make_net("gru", readout="last") for _ in range(2))
    train(first, windows, steps=4, progress=False)
    train(second, windows, steps=4, batch_size=32, sampling="random", progress=False)
    assert_same_bits(first.parameters, second.parameters)
