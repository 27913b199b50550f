"""How fused runs end whose examples have weights of their own: weights that are refused, divergence, Ctrl-C."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.data.examples.arrays import Arrays
from bptt.data.examples.partly_seen import PartlySeen
from bptt.engine.compiled.training import scale_rows
from bptt.errors import InvalidInput
from bptt.losses import Huber, Squared
from bptt.optim import SGD, Adam, Schedule
from bptt.training import TrainingDivergedError, train
from bptt.training.steps.batches import index_blocks
from tests.training.setups import assert_same_bits
from tests.training.steps.test_fused import by_hand, count_calls, rows_of
from tests.training.steps.weighted import B, D, K, N, Steps, T, draw, examples, made, partly_seen


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many steps each fused call made; empty where the run went step by step."""
    return count_calls(monkeypatch)


@pytest.mark.parametrize("ahead", [1, 3 * T * 2, 2**17])
def test_a_batch_of_which_nothing_counts_is_refused_in_its_turn(
    ahead: int, calls: list[int], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_rows, "_NUMBERS", ahead)
    drawn = np.concatenate(list(index_blocks(N, 2, 60, "random", 5)))
    weights = draw((N, T), rng, empty=False)
    weights[drawn[11]] = 0
    source = Arrays(rng.standard_normal((N, T, D)), rng.standard_normal((N, T, K)), weights=weights)
    first = int(np.flatnonzero(~weights.any(axis=1)[drawn].any(axis=1))[0])
    assert first > 0
    messages, nets = [], []
    for engine in ("compiled", "numpy"):
        nets.append(made(Squared(), engine=engine))
        with pytest.raises(InvalidInput, match=rf"Got only zeros at step {first}, examples") as caught:
            train(nets[-1], source, optimizer=SGD(0.05), steps=60, batch_size=2, seed=5, progress=False)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert sum(calls) == first
    by_hand(hand := made(Squared()), source, SGD(0.05), first, 2, seed=5)
    assert_same_bits(nets[0].parameters, hand.parameters)


@dataclass(frozen=True)
class Jump(Schedule):
    """A schedule of a user's: another rate from step 11 on."""

    kind: ClassVar[str] = "jump"
    then: float

    def _at(self, step: int) -> float:
        return self.rate if step < 11 else self.then


@pytest.mark.parametrize("ahead", [1, 4 * T * B, 2**17])
@pytest.mark.parametrize("then", [1e28, 1e43])
def test_divergence_ends_the_run_at_its_step(
    then: float, ahead: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, calls: list[int]
) -> None:
    monkeypatch.setattr(scale_rows, "_NUMBERS", ahead)
    source, optimizer = partly_seen(rng), SGD(Jump(1e-2, then), momentum=0.5)
    net, looking = made(Squared()), made(Squared())
    errors = []
    for each, callbacks in ((net, []), (looking, [lambda event: None])):
        with pytest.raises(TrainingDivergedError) as caught:
            train(
                each, source, optimizer=optimizer, steps=60, batch_size=B, seed=5, callbacks=callbacks, progress=False
            )  # fmt: skip
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    assert (errors[0].step, errors[0].updates_kept) == ((12, 11) if then < 1e38 else (11, 11))
    assert rows_of(errors[0].history) == rows_of(errors[1].history)
    assert_same_bits(net.parameters, looking.parameters)
    by_hand(hand := made(Squared()), source, optimizer, 11, B, seed=5)
    assert_same_bits(net.parameters, hand.parameters)


def test_an_interrupt_between_two_stretches_keeps_whole_steps(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, calls: list[int]
) -> None:
    """Ctrl-C while the weights of steps 9 to 11 are worked out, in the same call as the steps before."""
    source, asked = partly_seen(rng), []
    weights_of = PartlySeen.weights_of

    def interrupted(self: Any, indices: Any) -> Any:
        asked.append(len(indices))
        if len(asked) == 11:
            raise KeyboardInterrupt
        return weights_of(self, indices)

    monkeypatch.setattr(PartlySeen, "weights_of", interrupted)
    # Two lags: nothing is skipped, so that four steps are T rows long.
    monkeypatch.setattr(scale_rows, "_NUMBERS", 4 * B * T)
    net = made(Squared(), linear_lags=2)
    told = Steps()
    history = train(
        net, source, optimizer=Adam(0.02), steps=60, batch_size=B, seed=5, callbacks=[told], progress=False
    )
    monkeypatch.setattr(PartlySeen, "weights_of", weights_of)
    assert history.stopped_because == "interrupted"
    # One step to measure the time, then two times four.
    assert history.steps == 9
    assert told.seen == list(range(9))
    rows = by_hand(hand := made(Squared(), linear_lags=2), source, Adam(0.02), 9, B, seed=5)
    assert rows_of(history) == rows
    assert_same_bits(net.parameters, hand.parameters)


@pytest.mark.parametrize("sampling", ["random", "shuffled"])
def test_an_interrupted_run_goes_on_from_its_checkpoint(
    sampling: str, rng: np.random.Generator, tmp_path: Any, calls: list[int]
) -> None:
    source = partly_seen(rng)
    settings: dict[str, Any] = {
        "optimizer": Adam(0.02), "steps": 40, "batch_size": B, "sampling": sampling, "seed": 5, "progress": False,
    }  # fmt: skip
    path = tmp_path / "run.npz"

    def stop(event: Any) -> None:
        if event.step == 22:
            raise KeyboardInterrupt

    stop.looks_at_net = False  # type: ignore[attr-defined]  # the promise that keeps the steps fused
    begun = train(made(Huber(0.3)), source, callbacks=[stop], checkpoint=path, checkpoint_every=9, **settings)
    assert begun.stopped_because == "interrupted"
    assert 22 < begun.steps < 40
    calls.clear()
    history = train(net := made(Huber(0.3)), source, resume=path, **settings)
    assert sum(calls) == 40 - begun.steps
    rows = by_hand(hand := made(Huber(0.3)), source, Adam(0.02), 40, B, sampling=sampling, seed=5)
    assert rows_of(history) == rows
    assert_same_bits(net.parameters, hand.parameters)


def test_weights_that_were_spoilt_after_they_were_checked() -> None:
    """As step by step: what is said, and how many steps are made before."""
    found = []
    for engine in ("compiled", "numpy"):
        source = examples("steps", "squared", np.random.default_rng(8))
        assert isinstance(source, Arrays)
        assert source.weights is not None
        source.weights[20, 8] = np.nan
        net, told = made(Squared(), engine=engine, dtype="float64"), Steps()
        with pytest.raises(InvalidInput, match=r"^weights must be finite and at least 0\. Got nan") as caught:
            train(net, source, steps=80, batch_size=2, callbacks=[told], progress=False)
        found.append((str(caught.value), told.seen))
    assert found[0] == found[1]
    assert found[0][1]
