"""How a run of fused steps ends before its time: divergence, Ctrl-C, errors; and who is told of what."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.data.examples.arrays import Arrays
from bptt.losses import Absolute
from bptt.network import Network, Recurrent
from bptt.optim import SGD, Adam, ClipNorm, Optimizer, RMSProp, Schedule
from bptt.training import CSVLog, Event, TrainingDivergedError, train
from bptt.training.steps import fused as fused_module
from tests.network.build import randomise
from tests.training.setups import assert_same_bits, copy_of
from tests.training.steps.test_fused import by_hand, rows_of

N, T, D, K, B = 53, 6, 3, 2, 7


@pytest.fixture(autouse=True)
def _long_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call make all the steps that it may, on a slow machine too."""
    monkeypatch.setattr(fused_module, "_CALL_SECONDS", 1e9)


@dataclass(frozen=True)
class Jump(Schedule):
    """A schedule of a user's: another rate from step 11 on."""

    kind: ClassVar[str] = "jump"
    then: float

    def _at(self, step: int) -> float:
        return self.rate if step < 11 else self.then


def make(
    dtype: str = "float32", engine: str = "compiled", cell: str = "gru", *, bias: bool = True, **options: Any
) -> Network:
    net = Network(Recurrent(cell, D, 5, bias=bias, dtype=dtype, engine=engine), K, bias=bias, **options)
    return randomise(net, np.random.default_rng(1), gain=0.6)


def data(rng: np.random.Generator, size: float = 1.0) -> Arrays:
    x, y = rng.standard_normal((N, T, D)), rng.standard_normal((N, K)) * size
    return Arrays(x.astype("f").astype("d"), y.astype("f").astype("d") if size < 1e30 else y)


class Told:
    """A callback that keeps what it was told."""

    def __init__(self, *, looks: bool) -> None:
        self.looks_at_net = looks
        self.events: list[Event] = []
        self.ends: list[str] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def finish(self, history: Any) -> None:
        self.ends.append(history.stopped_because)

    @property
    def rows(self) -> list[tuple[float, float, float]]:
        return [(each.loss, each.gradient_norm, each.learning_rate) for each in self.events]

    @property
    def steps(self) -> list[int]:
        return [each.step for each in self.events]


# ---------------------------------------------------------------- divergence

# Optimiser, clipping, and where the run ends: the step that fails, and how many updates are kept.
DIVERGING: dict[str, tuple[Optimizer, Any, str, int, int]] = {
    # The weights are so large that the loss overflows a step later.
    "weights": (SGD(Jump(1e-2, 1e28)), None, "float32", 12, 11),
    "weights, clipped": (SGD(Jump(1e-2, 1e28)), ClipNorm(0.7), "float32", 12, 11),
    # The rate is no float32.
    "rate": (SGD(Jump(1e-2, 1e43), momentum=0.5), None, "float32", 11, 11),
    "at once": (SGD(1e45), None, "float32", 0, 0),
    "adam": (Adam(Jump(1e-2, 1e43)), 1.0, "float32", 11, 11),
    "rmsprop": (RMSProp(Jump(1e-2, 1e36)), None, "float32", 12, 11),
    "float64": (SGD(Jump(1e-2, 1e298)), None, "float64", 12, 11),
}


@pytest.mark.parametrize("name", DIVERGING)
def test_divergence_is_found_at_the_same_step_with_the_same_words(
    name: str, rng: np.random.Generator
) -> None:
    optimizer, clip, dtype, step, kept = DIVERGING[name]
    source = data(rng)
    found = []
    for engine, looks in (("compiled", False), ("compiled", True), ("numpy", True)):
        net, told = make(dtype, engine), Told(looks=looks)
        with pytest.raises(TrainingDivergedError) as caught:
            train(
                net, source, optimizer=optimizer, steps=60, batch_size=B, clip=clip, callbacks=[told], progress=False
            )  # fmt: skip
        error = caught.value
        assert (error.step, error.updates_kept, error.history.steps) == (step, kept, step)
        assert error.history.stopped_because == "diverged"
        assert told.ends == ["diverged"]
        found.append((net, error))
    (whole, first), (looking, second), (numpy, third) = found
    assert str(first) == str(second)
    assert str(first).split(":")[-1] == str(third).split(":")[-1]
    for name in ("loss", "gradient_norm"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert rows_of(first.history) == rows_of(second.history)
    assert_same_bits(whole.parameters, looking.parameters)
    hand = make(dtype)
    by_hand(hand, source, optimizer, kept, B, clip=clip if clip is None or callable(clip) else ClipNorm(clip))
    assert_same_bits(whole.parameters, hand.parameters)
    for name, p in numpy.parameters.items():
        np.testing.assert_allclose(whole.parameters[name], p, rtol=0, atol=2e-5 * np.abs(p).max())


@pytest.mark.parametrize(
    "looks",
    [True, False],
)
def test_every_step_before_a_divergence_is_told(looks: bool, rng: np.random.Generator, tmp_path: Any) -> None:
    told = Told(looks=looks)
    with pytest.raises(TrainingDivergedError) as caught:
        train(
            make(), data(rng), optimizer=SGD(Jump(1e-2, 1e28)), steps=60, batch_size=B, progress=False,
            callbacks=[told, CSVLog(tmp_path / "log.csv")],
        )  # fmt: skip
    assert told.steps == list(range(12))
    assert told.rows == rows_of(caught.value.history)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 1 + 12


def test_an_input_beyond_float32_is_named_as_step_by_step(rng: np.random.Generator) -> None:
    source = data(rng)
    source.x[17, 2, 1] = 1e39
    messages = []
    for engine in ("compiled", "numpy"):
        net = make(engine=engine)
        before = copy_of(net)
        with pytest.raises(TrainingDivergedError) as caught:
            train(
                net, source, steps=200, batch_size=B, sampling="shuffled", optimizer=SGD(0.0), progress=False
            )
        messages.append((caught.value.step, caught.value.updates_kept, str(caught.value)))
        assert_same_bits(net.parameters, before)
    assert messages[0] == messages[1]


@pytest.mark.parametrize("clip", [None, ClipNorm(1.0)])
@pytest.mark.parametrize("scale", [1e145, 1e200, 1e-143])
def test_norms_outside_the_safe_range_are_made_by_hand(
    scale: float, clip: Any, rng: np.random.Generator
) -> None:
    """Squares of the gradients leave float64; the run goes on, and so do the usual steps between them."""
    loss = {"loss": Absolute(), "change_of": (0, 1), "change_scale": scale}
    source, optimizer = data(rng), Adam(1e-3) if clip else SGD(1e-2 / scale**2 if scale < 1e150 else 0.0)
    whole, hand = make("float64", **loss), make("float64", **loss)
    history = train(whole, source, optimizer=optimizer, steps=9, batch_size=B, clip=clip, progress=False)
    rows = by_hand(hand, source, optimizer, 9, B, clip=clip)
    assert rows_of(history) == rows
    assert min(history.gradient_norms) > 0
    assert_same_bits(whole.parameters, hand.parameters)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_unusual_steps_among_usual_ones(dtype: str, rng: np.random.Generator) -> None:
    """A batch of zeros whose gradient is nothing, and in float64 one beyond the safe range."""
    source = data(rng)
    options: dict[str, Any] = {"bias": False, "cell": "elman", "loss": Absolute()}
    source.x[::3], source.y[::3] = 0, 0
    if dtype == "float64":
        source.x[1] = 1e150
        options["linear_lags"] = 1
    # Without a bias an input of zeros gives 0, which is the target.
    nets = [make(dtype, **options), make(dtype, **options)]
    optimizer, clip = SGD(0.0 if dtype == "float64" else 1e-2, momentum=0.9), ClipNorm(0.3)
    history = train(nets[0], source, optimizer=optimizer, steps=80, batch_size=2, clip=clip, progress=False)
    rows = by_hand(nets[1], source, optimizer, 80, 2, clip=clip)
    assert rows_of(history) == rows
    assert_same_bits(nets[0].parameters, nets[1].parameters)
    norms = history.gradient_norms
    assert 0 < np.count_nonzero(norms == 0) < 40
    assert (norms > 1e140).any() == (dtype == "float64")


def test_a_norm_of_which_the_squares_vanish_is_what_it_is(rng: np.random.Generator) -> None:
    nets = [make("float64"), make("float64")]
    for net in nets:
        for p in net.parameters.values():
            p[...] = 0
        net.parameters["readout.b_y"][...] = 1e-170
    source = Arrays(rng.standard_normal((N, T, D)), np.zeros((N, K)))
    history = train(nets[0], source, optimizer=SGD(0.1), steps=4, batch_size=B, progress=False)
    assert rows_of(history) == by_hand(nets[1], source, SGD(0.1), 4, B)
    assert min(history.gradient_norms) > 0


def test_a_parameter_that_is_infinite_and_harmless_stays_so(rng: np.random.Generator) -> None:
    """A relu unit with a bias of minus infinity is silent: that is no update that overflows."""
    histories = []
    for engine in ("compiled", "numpy"):
        stack = Recurrent("elman", D, 5, activation="relu", engine=engine)
        net = randomise(Network(stack, K), np.random.default_rng(1), gain=0.6)
        net.parameters["layers.0.b_h"][0] = -np.inf
        histories.append(
            train(
                net,
                data(np.random.default_rng(2)),
                optimizer=SGD(0.01),
                steps=9,
                batch_size=B,
                progress=False,
            )
        )
    np.testing.assert_allclose(histories[0].losses, histories[1].losses, rtol=1e-12, atol=0)


# ---------------------------------------------------------------- interrupts and errors


class Failing(Told):
    def __init__(self, at: int, error: BaseException, *, looks: bool) -> None:
        super().__init__(looks=looks)
        self.at, self.error = at, error

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if event.step == self.at:
            raise self.error


def run(net: Network, source: Arrays, steps: int, **given: Any) -> Any:
    settings = {"optimizer": SGD(0.01, momentum=0.9), "batch_size": B, "progress": False, **given}
    return train(net, source, steps=steps, **settings)


@pytest.mark.parametrize("at", [0, 1, 9])
@pytest.mark.parametrize("looks", [True, False])
def test_an_interrupt_from_a_callback_leaves_whole_updates(
    looks: bool, at: int, rng: np.random.Generator
) -> None:
    source, net, whole = data(rng), make(), make()
    told = Failing(at, KeyboardInterrupt(), looks=looks)
    history = run(net, source, 40, callbacks=[told])
    assert history.stopped_because == "interrupted"
    assert told.ends == ["interrupted"]
    assert told.steps == list(range(at + 1))
    # Who does not look is told afterwards: the call of steps 1..39 had been made.
    assert history.steps == (at + 1 if looks else 1 if at == 0 else 40)
    assert rows_of(history) == rows_of(run(whole, source, history.steps))
    assert_same_bits(net.parameters, whole.parameters)


@pytest.mark.parametrize("looks", [True, False])
def test_an_error_from_a_callback_leaves_whole_updates(looks: bool, rng: np.random.Generator) -> None:
    source, net, whole = data(rng), make(), make()
    first, last = Told(looks=looks), Told(looks=looks)
    with pytest.raises(ZeroDivisionError):
        run(net, source, 40, callbacks=[first, Failing(6, ZeroDivisionError(), looks=looks), last])
    assert (first.steps, last.steps) == (list(range(7)), list(range(6)))
    assert (first.ends, last.ends) == (["failed"], ["failed"])
    run(whole, source, 7 if looks else 40)
    assert_same_bits(net.parameters, whole.parameters)


def interrupted_call(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let Ctrl-C come while call number `at` is under way: Python raises it once the call is back."""
    play, calls = fused_module.Fused.play, iter(range(10**6))

    def raising(self: Any, block: Any, most: int) -> int:
        flag = play(self, block, most)
        if next(calls) == at:
            raise KeyboardInterrupt
        return flag

    monkeypatch.setattr(fused_module.Fused, "play", raising)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_interrupt_during_a_call_counts_the_steps_it_made(
    at: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, whole, net = data(rng), make(), make()
    monkeypatch.setattr(fused_module, "_MOST_STEPS", 8)
    expected = run(whole, source, 1 + 8 * at)
    interrupted_call(monkeypatch, at)
    told = Told(looks=False)
    history = run(net, source, 40, callbacks=[told])
    assert (history.stopped_because, history.steps) == ("interrupted", 1 + 8 * at)
    assert rows_of(history) == rows_of(expected)
    assert_same_bits(net.parameters, whole.parameters)
    assert told.steps == list(range(len(told.steps)))


def test_an_interrupt_during_a_call_tells_of_the_steps_it_made(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_module, "_MOST_STEPS", 8)
    interrupted_call(monkeypatch, 2)
    told = Told(looks=False)
    history = run(make(), data(rng), 40, callbacks=[told])
    assert history.steps == 17
    assert told.steps == list(range(17))


@pytest.mark.parametrize("name", ["rate", "at once", "weights"])
def test_an_interrupt_during_a_call_that_diverges_leaves_good_weights(
    name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer, clip, dtype, step, _ = DIVERGING[name]
    source, whole, net = data(rng), make(dtype), make(dtype)
    interrupted_call(monkeypatch, 0 if step == 0 else 1)
    history = run(net, source, 60, optimizer=optimizer, clip=clip)
    assert (history.stopped_because, history.steps) == ("interrupted", step)
    by_hand(whole, source, optimizer, step, B)
    assert all(np.isfinite(p).all() for p in net.parameters.values())
    assert_same_bits(net.parameters, whole.parameters)


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends the process there")
@pytest.mark.parametrize("callbacks", [0, 1])
def test_a_real_interrupt_during_a_long_run(
    callbacks: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(fused_module, "_CALL_SECONDS", 0.02)
    source = data(rng)
    # A shell starts what runs in the background with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    play, begun = fused_module.Fused.play, threading.Event()

    def telling(self: Any, block: Any, most: int) -> int:
        begun.set()
        return play(self, block, most)

    def interrupt(delay: float) -> None:
        begun.wait()  # on a machine that is busy with something else, the run may begin late
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(fused_module.Fused, "play", telling)
    for delay in (0.0, 0.03, 0.11):
        net, whole, told = make(), make(), Told(looks=False)
        begun.clear()
        other = threading.Thread(target=interrupt, args=(delay,), daemon=True)
        other.start()
        history = run(net, source, 20_000_000, callbacks=[told] * callbacks)
        other.join()
        assert history.stopped_because == "interrupted"
        assert told.steps == list(range(len(told.steps)))
        assert len(told.steps) <= history.steps
        if history.steps:
            assert rows_of(history) == rows_of(run(whole, source, history.steps))
        assert_same_bits(net.parameters, whole.parameters)
        # The network is none the worse for it.
        assert run(net, source, 3).stopped_because == "finished"
