from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bptt.data.examples.arrays import Arrays
from bptt.errors import DataError, InvalidInput, InvalidType
from bptt.network import Network
from bptt.optim import L1, L2, SGD, Adam, ClipNorm, ClipValue, Cosine, RMSProp, global_norm
from bptt.training import Event, evaluate, train
from bptt.training.steps.batches import index_blocks
from tests.training.setups import (
    D,
    K,
    N,
    Recording,
    T,
    Trail,
    assert_same_bits,
    copy_of,
    differ,
    make_data,
    make_net,
)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", ["elman", "lstm_peephole"])
@pytest.mark.parametrize("sampling", ["random", "shuffled"])
def test_the_same_seed_gives_the_same_bits(
    rng: np.random.Generator, cell: str, dtype: str, sampling: str
) -> None:
    data = make_data(rng, dtype)

    def run(seed: int, threads: int) -> tuple[Network, Any]:
        net = make_net(cell, dtype, dropout=0.3, linear_lags=2)
        with threadpool_limits(threads):
            history = train(
                net, data, optimizer=Adam(0.01), steps=12, batch_size=8, sampling=sampling, seed=seed,
                clip=0.5, penalty=L2(1e-3), progress=False,
            )  # fmt: skip
        return net, history

    first, history = run(5, 1)
    again, repeated = run(5, 2)
    other, different = run(6, 1)
    assert_same_bits(again.parameters, first.parameters)
    for name in ("losses", "gradient_norms", "learning_rates"):
        np.testing.assert_array_equal(getattr(repeated, name), getattr(history, name))
    assert differ(other.parameters, first.parameters)
    assert not np.array_equal(different.losses, history.losses)
    assert {p.dtype for p in first.parameters.values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("clip", [ClipNorm(0.05), ClipValue(0.01), None])
def test_a_run_is_gradient_penalty_clipping_update_in_this_order(rng: np.random.Generator, clip: Any) -> None:
    x, y = make_data(rng)
    lengths = rng.integers(1, T + 1, N)
    weights = rng.uniform(0.5, 2.0, N)
    penalties = (L2(0.3), L1(0.2))
    optimizer = RMSProp(Cosine(0.02, 9, 2))
    net, by_hand = make_net(dropout=0.4), make_net(dropout=0.4)
    history = train(
        net, Arrays(x, y, lengths, weights), optimizer=optimizer, steps=9, batch_size=7, sampling="shuffled",
        seed=11, clip=clip, penalty=penalties, progress=False,
    )  # fmt: skip

    slots = optimizer.init(by_hand.parameters)
    losses, norms, shrunk = [], [], 0
    batches = [row for block in index_blocks(N, 7, 9, "shuffled", 11) for row in block]
    for step, rows in enumerate(batches):
        found = by_hand.loss_and_gradients(
            x[rows], y[rows], lengths=lengths[rows], weights=weights[rows], dropout_key=(11, step)
        )
        gradients = found.gradients.parameters
        for penalty in penalties:
            penalty.add(by_hand.parameters, gradients)
        norms.append(global_norm(gradients))
        if clip is not None:
            clip(gradients)
            shrunk += global_norm(gradients) < norms[-1]
        optimizer.update(by_hand.parameters, gradients, slots, step)
        losses.append(found.loss)
    assert clip is None or shrunk == 9
    assert_same_bits(net.parameters, by_hand.parameters)
    np.testing.assert_array_equal(history.losses, losses)
    np.testing.assert_array_equal(history.gradient_norms, norms)
    np.testing.assert_array_equal(history.learning_rates, [optimizer.rate(step) for step in range(9)])
    assert (history.steps, history.stopped_because) == (9, "finished")
    assert history.seconds > 0


def test_a_number_is_a_largest_norm_and_one_penalty_needs_no_list(rng: np.random.Generator) -> None:
    data = make_data(rng)
    first, second = make_net(), make_net()
    train(first, data, steps=4, clip=0.1, penalty=L2(0.5), progress=False)
    train(second, data, steps=4, clip=ClipNorm(0.1), penalty=[L2(0.5)], progress=False)
    assert_same_bits(first.parameters, second.parameters)


def test_epochs_are_passes_over_the_data(rng: np.random.Generator) -> None:
    source = Recording(*make_data(rng))
    history = train(make_net(), source, epochs=2, batch_size=10, sampling="shuffled", progress=False)
    assert history.steps == 12
    assert [len(rows) for rows in source.drawn] == 2 * [10, 10, 10, 10, 10, 3]
    assert sorted(np.concatenate(source.drawn[:6])) == list(range(N))


def test_training_trains_and_leaves_the_data_alone(rng: np.random.Generator) -> None:
    x, y = make_data(rng)
    kept = x.copy(), y.copy()
    net = make_net()
    before = evaluate(net, (x, y))
    history = train(net, (x, y), optimizer=Adam(0.02), steps=150, progress=False)
    assert evaluate(net, (x, y)) < 0.2 * before
    assert history.last_losses_mean(25) < 0.2 * before
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(y, kept[1])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"steps": 47}, [*range(2, 47, 2), 47]),
        ({"steps": 5}, [1, 2, 3, 4, 5]),
        ({"epochs": 3}, [7, 14, 21]),
        ({"steps": 47, "evaluate_every": 20}, [20, 40, 47]),
        ({"epochs": 1, "evaluate_every": 100}, [7]),
    ],
)
def test_when_validation_is_evaluated(
    rng: np.random.Generator, settings: dict[str, int], expected: list[int]
) -> None:
    net = make_net(dropout=0.5)
    held_out = make_data(rng, count=19)
    trail = Trail(net)
    history = train(
        net, make_data(rng), batch_size=8, validation=held_out, callbacks=[trail], progress=False, **settings
    )
    assert [step for step, _ in history.validation] == expected
    losses = [net.loss_value(*held_out, parameters=trail.weights[step]) for step in expected]
    np.testing.assert_allclose([loss for _, loss in history.validation], losses, rtol=1e-14, atol=0)
    assert history.best_step == expected[int(np.argmin(losses))]
    # Without early stopping the last weights stay.
    assert_same_bits(net.parameters, trail.weights[-1])
    told = {event.step + 1: event.validation_loss for event in trail.events}
    assert {step: loss for step, loss in told.items() if loss is not None} == dict(history.validation)


def test_callbacks_are_told_every_step(rng: np.random.Generator) -> None:
    net = make_net()
    trail = Trail(net)
    seen: list[Event] = []
    history = train(
        net,
        make_data(rng),
        optimizer=SGD(0.1, decay=0.5),
        steps=4,
        callbacks=(trail, seen.append),
        progress=False,
    )
    assert [event.step for event in seen] == [0, 1, 2, 3]
    assert all(first is second for first, second in zip(seen, trail.events, strict=True))
    assert {event.total_steps for event in seen} == {4}
    assert all(event.net is net for event in seen)
    np.testing.assert_array_equal([event.loss for event in seen], history.losses)
    np.testing.assert_array_equal([event.gradient_norm for event in seen], history.gradient_norms)
    np.testing.assert_array_equal([event.learning_rate for event in seen], history.learning_rates)
    np.testing.assert_allclose(
        history.learning_rates, [0.1, 0.1 / 1.5, 0.1 / 2, 0.1 / 2.5], rtol=1e-15, atol=0
    )
    with pytest.raises(AttributeError):
        seen[0].loss = 1.0  # type: ignore[misc]  # frozen


def test_blas_is_held_to_one_thread(rng: np.random.Generator) -> None:
    def threads() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    seen = []
    with threadpool_limits(2, user_api="blas"):
        outside = threads()
        train(
            make_net(),
            make_data(rng),
            steps=1,
            callbacks=[lambda event: seen.append(threads())],
            progress=False,
        )
        assert threads() == outside
    assert seen == [{1}]


def test_a_callback_that_raises_ends_the_run_with_whole_weights(rng: np.random.Generator) -> None:
    net = make_net()
    trail = Trail(net)
    ended = []

    class Watcher:
        def __call__(self, event: Event) -> None:
            if event.step == 2:
                raise ZeroDivisionError("mine")

        def finish(self, history: Any) -> None:
            ended.append((history.steps, history.stopped_because))

    with pytest.raises(ZeroDivisionError, match="mine"):
        train(net, make_data(rng), steps=9, callbacks=[trail, Watcher()], progress=False)
    assert ended == [(3, "failed")]
    assert_same_bits(net.parameters, trail.weights[3])


def test_every_callback_is_finished_though_one_fails(rng: np.random.Generator) -> None:
    order = []

    class Watcher:
        def __init__(self, name: str) -> None:
            self.name = name

        def __call__(self, event: Event) -> None:
            pass

        def finish(self, history: Any) -> None:
            order.append(self.name)
            if self.name == "a":
                raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        train(
            make_net(), make_data(rng), steps=1, callbacks=[Watcher("a"), print, Watcher("b")], progress=False
        )
    assert order == ["a", "b"]


def test_the_readout_of_every_step_and_class_targets_train(rng: np.random.Generator) -> None:
    x = rng.standard_normal((N, T, D))
    net = make_net(readout="every", loss="cross_entropy")
    y = (x[:, :, 0] > 0).astype(np.int64)
    history = train(
        net, Arrays(x, y, rng.integers(1, T + 1, N)), optimizer=Adam(0.05), steps=60, progress=False
    )
    assert history.last_losses_mean(5) < 0.3 * history.losses[0]


class Empty:
    def __len__(self) -> int:
        return 0

    def batch(self, indices: Any) -> Any:
        raise AssertionError


class Odd(Empty):
    def __len__(self) -> int:
        return 3

    def batch(self, indices: Any) -> Any:
        return np.zeros((1, T, D)), np.zeros((1, K))


X, Y = np.zeros((4, T, D)), np.zeros((4, K))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"net": 3}, InvalidType, "net must be a Network. Got int"),
        ({"steps": None}, InvalidInput, "steps or epochs must be given, one of the two. Got neither"),
        ({"epochs": 2}, InvalidInput, "steps or epochs must be given, one of the two. Got both"),
        ({"steps": 2.0}, InvalidType, "steps must be a whole number. Got 2.0"),
        ({"batch_size": 0}, InvalidInput, "batch_size must be at least 1. Got 0"),
        ({"sampling": "sorted"}, InvalidInput, "sampling must be one of random, shuffled. Got 'sorted'"),
        ({"seed": -1}, InvalidInput, "seed must be at least 0. Got -1"),
        (
            {"optimizer": "sdg"},
            InvalidInput,
            "optimizer must be one of sgd, rmsprop, adam, adamw. Got 'sdg'",
        ),
        ({"clip": 0}, InvalidInput, "clip must be above 0. Got 0"),
        ({"clip": "norm"}, InvalidType, "clip must be a number. Got 'norm'"),
        (
            {"penalty": 0.1},
            InvalidType,
            "penalty must be a Penalty such as L2(1e-4), or several. Got 0.1",
        ),
        (
            {"penalty": [L2(0.1), "l1"]},
            InvalidType,
            "penalty must be a Penalty such as L2(1e-4), or several. Got 'l1'",
        ),
        (
            {"penalty": L2(0.1, "W_zz")},
            InvalidInput,
            "pattern must fit a parameter: layers.0.W_xh, layers.0.W_hh, layers.0.b_h, layers.0.b_hn, "
            "readout.W_hy, readout.b_y. Got 'W_zz'",
        ),
        ({"callbacks": 3}, InvalidType, "callbacks must be a sequence of callables. Got 3"),
        ({"callbacks": [3]}, InvalidType, "callbacks must be callables that take an Event. Got 3"),
        ({"progress": "yes"}, InvalidType, "progress must be None, True, False or a callback. Got 'yes'"),
        (
            {"data": X},
            InvalidType,
            "data must be a source of batches (Windows, Sequences, Arrays, or an object with __len__ and batch) "
            "or a pair (x, y). Got ndarray",
        ),
        (
            {"data": (X, Y, None)},
            InvalidType,
            "data must be a source of batches or a pair (x, y). Got a tuple of 3: lengths and weights go into "
            "bptt.data.Arrays",
        ),
        ({"data": Empty()}, DataError, "data must hold at least one example. Got none"),
        ({"validation": Empty()}, DataError, "validation must hold at least one example. Got none"),
        ({"data": Odd()}, InvalidType, "Odd.batch must return a bptt.data.Batch. Got tuple"),
        (
            {"evaluate_every": 3},
            InvalidInput,
            "evaluate_every must come with validation data. Got none: pass validation=(x, y)",
        ),
        (
            {"early_stopping": 3},
            InvalidInput,
            "early_stopping must come with validation data. Got none: pass validation=(x, y)",
        ),
        (
            {"evaluate_every": 0, "validation": (X, Y)},
            InvalidInput,
            "evaluate_every must be at least 1. Got 0",
        ),
        (
            {"data": (X[:, :, :2], Y)},
            InvalidInput,
            "x must have shape (B, T, D) = (*, *, 3). Got (32, 6, 2): the layer was made with input_size = 3",
        ),
    ],
)
def test_what_does_not_fit_is_said(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    net = make_net()
    before = copy_of(net)
    settings: dict[str, Any] = {"net": net, "data": (X, Y), "steps": 2, "progress": False, **changed}
    with pytest.raises(error) as caught:
        train(settings.pop("net"), settings.pop("data"), **settings)
    assert str(caught.value) == message
    assert_same_bits(net.parameters, before)
