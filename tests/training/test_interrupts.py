"""Ctrl-C at every kind of moment: the weights are always those after a whole number of updates."""

from __future__ import annotations

import signal
import time
from typing import Any

import numpy as np
import pytest

from bptt.optim import Adam
from bptt.training import Event, train
from bptt.training.steps import weights as weights_module
from bptt.training.steps.weights import SafeWeights, overwrite
from tests.training.setups import Recording, Trail, assert_same_bits, copy_of, make_data, make_net


class InterruptAt:
    def __init__(self, step: int) -> None:
        self.step = step
        self.ended: list[str] = []

    def __call__(self, event: Event) -> None:
        if event.step == self.step:
            raise KeyboardInterrupt

    def finish(self, history: Any) -> None:
        self.ended.append(history.stopped_because)


def test_an_interrupt_in_a_callback_ends_training_cleanly(rng: np.random.Generator) -> None:
    data = make_data(rng)
    net, whole = make_net(), make_net()
    stop = InterruptAt(4)
    history = train(net, data, steps=50, callbacks=[stop], progress=False)
    expected = train(whole, data, steps=5, progress=False)
    assert (history.stopped_because, history.steps) == ("interrupted", 5)
    assert stop.ended == ["interrupted"]
    np.testing.assert_array_equal(history.losses, expected.losses)
    assert_same_bits(net.parameters, whole.parameters)


def test_an_interrupt_while_data_are_read_ends_before_that_step(rng: np.random.Generator) -> None:
    net = make_net()
    source = Recording(*make_data(rng))
    source.error_at = (3, KeyboardInterrupt())
    trail = Trail(net)
    history = train(net, source, steps=50, callbacks=[trail], progress=False)
    assert (history.stopped_because, history.steps) == ("interrupted", 3)
    assert_same_bits(net.parameters, trail.weights[3])


def test_an_interrupt_in_the_first_step_leaves_the_starting_weights(rng: np.random.Generator) -> None:
    net = make_net()
    before = copy_of(net)
    source = Recording(*make_data(rng))
    source.error_at = (0, KeyboardInterrupt())
    history = train(net, source, steps=50, progress=False)
    assert (history.stopped_because, history.steps, history.validation) == ("interrupted", 0, ())
    assert history.best_step is None
    assert_same_bits(net.parameters, before)


class HalfAnUpdate(Adam):
    """Interrupted after `written` parameters of update `at`, or after all of them."""

    at = 3
    written = 2

    def update(self, parameters: Any, gradients: Any, slots: Any, step: int) -> None:
        before = {name: p.copy() for name, p in parameters.items()}
        super().update(parameters, gradients, slots, step)
        if step == self.at:
            for name in list(parameters)[self.written :]:
                parameters[name][...] = before[name]
            raise KeyboardInterrupt


@pytest.mark.parametrize("written", [0, 2, 6])
def test_half_an_update_is_taken_back(rng: np.random.Generator, written: int) -> None:
    class Optimizer(HalfAnUpdate):
        pass

    Optimizer.written = written
    net = make_net()
    trail = Trail(net)
    history = train(
        net, make_data(rng), optimizer=Optimizer(0.01), steps=50, callbacks=[trail], progress=False
    )
    assert (history.stopped_because, history.steps) == ("interrupted", 3)
    assert_same_bits(net.parameters, trail.weights[3])


def test_a_second_interrupt_is_raised_and_the_weights_are_whole(rng: np.random.Generator) -> None:
    class Impatient(InterruptAt):
        def finish(self, history: Any) -> None:
            raise KeyboardInterrupt

    net = make_net()
    trail = Trail(net)
    with pytest.raises(KeyboardInterrupt):
        train(net, make_data(rng), steps=50, callbacks=[trail, Impatient(4)], progress=False)
    assert_same_bits(net.parameters, trail.weights[5])


def test_a_second_interrupt_while_an_update_is_taken_back(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = make_net()
    trail = Trail(net)
    copies = 0

    class Numpy:
        empty_like = staticmethod(np.empty_like)

        @staticmethod
        def copyto(target: Any, values: Any) -> None:
            nonlocal copies
            # Four updates save six parameters each; then the half one is taken back: its third copy is interrupted.
            copies += 1
            if copies == 4 * 6 + 3:
                raise KeyboardInterrupt
            np.copyto(target, values)

    monkeypatch.setattr(weights_module, "np", Numpy)
    with pytest.raises(KeyboardInterrupt):
        train(net, make_data(rng), optimizer=HalfAnUpdate(0.01), steps=50, callbacks=[trail], progress=False)
    assert copies == 4 * 6 + 3 + 6
    assert_same_bits(net.parameters, trail.weights[3])


def test_an_interrupt_with_early_stopping_puts_the_best_weights_back(rng: np.random.Generator) -> None:
    net = make_net()
    trail = Trail(net)
    x, y = make_data(rng)
    # Targets of the opposite sign: training makes this validation worse from the first step on.
    history = train(
        net, (x, y), optimizer=Adam(0.01), steps=50, validation=(x, -y), evaluate_every=1, early_stopping=40,
        callbacks=[trail, InterruptAt(9)], progress=False,
    )  # fmt: skip
    assert (history.stopped_because, history.steps, history.best_step) == ("interrupted", 10, 1)
    assert_same_bits(net.parameters, trail.weights[1])


def test_overwrite_finishes_before_it_passes_an_interrupt_on(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = {name: np.full(3, 1.0) for name in "abc"}
    values = {name: np.full(3, 2.0) for name in "abc"}
    interrupts = [1, 4]

    class Numpy:
        calls = 0

        @classmethod
        def copyto(cls, target: Any, source: Any) -> None:
            cls.calls += 1
            if cls.calls in interrupts:
                raise KeyboardInterrupt
            np.copyto(target, source)

    monkeypatch.setattr(weights_module, "np", Numpy)
    with pytest.raises(KeyboardInterrupt):
        overwrite(parameters, values)
    assert_same_bits(parameters, values)


def test_a_copy_that_was_interrupted_is_never_gone_back_to(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = {name: np.full(3, 1.0) for name in "abc"}
    safe = SafeWeights(parameters)
    safe.save(0)
    for p in parameters.values():
        p[...] = 2.0

    class Numpy:
        calls = 0

        @classmethod
        def copyto(cls, target: Any, source: Any) -> None:
            cls.calls += 1
            if cls.calls == 2:
                raise KeyboardInterrupt
            np.copyto(target, source)

    monkeypatch.setattr(weights_module, "np", Numpy)
    with pytest.raises(KeyboardInterrupt):
        safe.save(1)
    safe.settle(1)
    assert all((p == 2.0).all() for p in parameters.values())


# An interrupt that Python delivers within a __del__ is lost, with a warning; the run goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("no_garbage")
@pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="needs a timer that sends a signal (not on Windows)"
)
def test_interrupts_at_any_moment_leave_whole_weights(rng: np.random.Generator) -> None:
    data = make_data(rng)
    held_out = make_data(rng, count=19)
    reference = make_net("elman")
    trail = Trail(reference)
    train(
        reference, data, optimizer=Adam(0.01), steps=60, validation=held_out, evaluate_every=7,
        callbacks=[trail], progress=False,
    )  # fmt: skip

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    # How long a run takes, found on the way: one that ends undisturbed shows it, and one that is interrupted before its
    # first step tells that it takes longer now than it did.
    spent, ends, tries = 1.0, {"interrupted": 0}, 0
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        while ends["interrupted"] <= 30:
            tries += 1
            assert tries < 2000
            net = make_net("elman")
            try:
                begun = time.perf_counter()
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.1, 0.9) * spent)
                history = train(
                    net, data, optimizer=Adam(0.01), steps=60, validation=held_out, evaluate_every=7, progress=False
                )  # fmt: skip
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                # Before the first step or while the record was made: nothing is returned.
                signal.setitimer(signal.ITIMER_REAL, 0)
                spent *= 1.1
                assert any(_same(net.parameters, each) for each in trail.weights)
                continue
            ends[history.stopped_because] = ends.get(history.stopped_because, 0) + 1
            if history.stopped_because == "finished":
                spent = min(spent, time.perf_counter() - begun)
            assert_same_bits(net.parameters, trail.weights[history.steps])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(ends) <= {"interrupted", "finished"}


def _same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(np.array_equal(first[name], values) for name, values in second.items())


def test_other_errors_in_an_update_leave_whole_weights_too(rng: np.random.Generator) -> None:
    class OutOfMemory(HalfAnUpdate):
        def update(self, parameters: Any, gradients: Any, slots: Any, step: int) -> None:
            try:
                super().update(parameters, gradients, slots, step)
            except KeyboardInterrupt:
                raise MemoryError from None

    net = make_net()
    trail = Trail(net)
    with pytest.raises(MemoryError):
        train(net, make_data(rng), optimizer=OutOfMemory(0.01), steps=50, callbacks=[trail], progress=False)
    assert_same_bits(net.parameters, trail.weights[3])


def test_no_signal_handler_is_installed(rng: np.random.Generator) -> None:
    handlers = []
    train(
        make_net(), make_data(rng), steps=2, progress=False,
        callbacks=[lambda event: handlers.append(signal.getsignal(signal.SIGINT))],
    )  # fmt: skip
    assert handlers == 2 * [signal.getsignal(signal.SIGINT)]
