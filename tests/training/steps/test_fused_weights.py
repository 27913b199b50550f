"""Examples with weights of their own, many steps in one call: the bits of steps made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.data.examples.arrays import Arrays
from bptt.engine.compiled.training import scale_rows
from bptt.engine.compiled.training.step import CompiledStep
from bptt.engine.threads import use_threads
from bptt.losses import Absolute, CrossEntropy, HalfSquared, Huber, Loss, Pinball, Squared
from bptt.network import Network
from bptt.optim import Adam, ClipNorm
from bptt.training import train
from tests.training.setups import assert_same_bits, copy_of
from tests.training.steps.test_fused import by_hand, count_calls, pairwise, rows_of
from tests.training.steps.weighted import B, D, K, N, T, examples, made, partly_seen

STEPS = 19


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many steps each fused call made; empty where the run went step by step."""
    return count_calls(monkeypatch)


LOSSES: dict[str, type[Loss] | Any] = {
    "squared": Squared,
    "half squared": HalfSquared,
    "absolute": Absolute,
    "huber": lambda **given: Huber(0.3, **given),
    "pinball": lambda **given: Pinball((0.2, 0.9), **given),
    "cross-entropy": CrossEntropy,
}
AXES: dict[str, tuple[Any, ...]] = {
    "loss": tuple(LOSSES),
    "time": ("mean", "sum"),
    "source": ("last", "every", "steps", "partly seen"),
    "cell": ("gru", "lstm", "elman"),
    "layers": (1, 2),
    "hidden": (5, 19),
    "dtype": ("float32", "float64"),
    "sampling": ("random", "shuffled"),
    "rows": (B, 1, 32),
    # Numbers that are worked out ahead: several steps, one, all.
    "ahead": (3 * B * T + 5, 1, 2**17),
    "lags": (0, 2),
    "change": (False, True),
    "own": ("float32", "float64"),
}


@dataclass(frozen=True)
class Case:
    """What a run is made of, with what does not go together replaced."""

    given: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.given[name]

    @classmethod
    def of(cls, given: dict[str, Any]) -> Case:
        changed = dict(given)
        if changed["loss"] == "cross-entropy":
            changed["change"] = False
            if changed["source"] == "partly seen":
                changed["source"] = "steps"
        return cls(changed)

    def net(self) -> Network:
        change = {"change_of": (2, 0, 2, 1), "change_scale": 0.7} if self.change else {}
        return made(
            LOSSES[self.loss](time=self.time), "last" if self.source == "last" else "every", cell=self.cell,
            hidden=self.hidden, layers=self.layers, dtype=self.dtype, linear_lags=self.lags, **change,
        )  # fmt: skip


CASES = [Case.of(each) for each in pairwise(AXES)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.given.values())))
def test_the_bits_of_steps_made_by_hand(
    case: Case, calls: list[int], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_rows, "_NUMBERS", case.ahead)
    # A batch of one example must count. So must the smaller batch that ends an epoch.
    source = examples(
        case.source, case.loss, rng, case.own, empty=case.rows == B and case.sampling == "random"
    )
    settings = {"batch_size": case.rows, "sampling": case.sampling, "seed": 5, "clip": ClipNorm(0.4)}
    whole, looking, hand = case.net(), case.net(), case.net()
    optimizer = Adam(0.02)
    history = train(whole, source, optimizer=optimizer, steps=STEPS, progress=False, **settings)
    assert sum(calls) == STEPS
    # One batch of 32 and the smaller one are a permutation of 53.
    assert max(calls) > 1 or (case.rows == 32 and case.sampling == "shuffled")
    size = settings.pop("batch_size")
    rows = by_hand(hand, source, optimizer, STEPS, size, **settings)
    assert rows_of(history) == rows
    assert_same_bits(whole.parameters, hand.parameters)

    def look(event: Any) -> None:
        seen.append(copy_of(event.net))

    look.looks_every = 4  # type: ignore[attr-defined]  # an attribute is how a callback says so
    seen: list[Any] = []
    told = train(
        looking, source, optimizer=optimizer, steps=STEPS, progress=False, batch_size=size, callbacks=[look], **settings
    )  # fmt: skip
    assert rows_of(told) == rows
    assert len(seen) == STEPS
    assert_same_bits(seen[-1], hand.parameters)
    assert_same_bits(looking.parameters, hand.parameters)


def test_weights_do_count(rng: np.random.Generator) -> None:
    """The cases above would agree if nobody read them."""
    source = examples("steps", "huber", rng)
    assert isinstance(source, Arrays)
    found = []
    for weights in (source.weights, None, np.roll(source.weights, 1, axis=0)):  # type: ignore[arg-type]  # they are there
        given = Arrays(source.x, source.y, weights=weights)
        net = made(Huber(0.3))
        found.append(train(net, given, steps=3, batch_size=B, progress=False).losses.tolist())
    assert found[0] != found[1]
    assert found[0] != found[2]


# ---------------------------------------------------------------- steps that are not read out


@pytest.fixture
def skipped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many steps each list of calls skips."""
    found: list[int] = []
    begin = CompiledStep.__init__

    def noted(self: Any, *given: Any, **rest: Any) -> None:
        found.append(rest.get("skipped", 0))
        begin(self, *given, **rest)

    monkeypatch.setattr(CompiledStep, "__init__", noted)
    return found


@dataclass(frozen=True)
class Floor(Huber):
    """A loss of a user's: what has no weight counts a little where examples differ."""

    def scales(self, shape: Any, weights: Any = None) -> Any:
        return super().scales(shape, weights + 0.1 * np.ptp(weights, axis=0).max())


@pytest.mark.parametrize("one", [None, 5, 1])
@pytest.mark.parametrize("loss", [Huber(0.3), Floor(0.3)], ids=lambda each: type(each).__name__)
def test_only_steps_that_count_in_no_example_are_skipped(
    loss: Loss, one: int | None, rng: np.random.Generator, skipped: list[int]
) -> None:
    weights = rng.uniform(0.2, 2.0, (N, T))
    weights[:, :9] = 0
    if one is not None:
        weights[17, one] = 0.7  # of one example alone
    source = Arrays(rng.standard_normal((N, T, D)), rng.standard_normal((N, T, K)), weights=weights)
    whole, hand = made(loss, hidden=16), made(loss, hidden=16)
    history = train(whole, source, optimizer=Adam(0.02), steps=STEPS, batch_size=32, progress=False)
    expected = {None: 8, 5: 4, 1: 0}[one]  # whole blocks, of four steps
    assert skipped == [0 if isinstance(loss, Floor) else expected]
    assert rows_of(history) == by_hand(hand, source, Adam(0.02), STEPS, 32)
    assert_same_bits(whole.parameters, hand.parameters)


def test_a_warm_up_of_partly_seen_sequences_is_skipped(rng: np.random.Generator, skipped: list[int]) -> None:
    source = partly_seen(rng, warmup=7)
    whole, hand = made(Squared(), cell="lstm", hidden=16), made(Squared(), cell="lstm", hidden=16)
    history = train(whole, source, optimizer=Adam(0.02), steps=STEPS, batch_size=32, progress=False)
    assert skipped == [4]
    assert rows_of(history) == by_hand(hand, source, Adam(0.02), STEPS, 32)
    assert_same_bits(whole.parameters, hand.parameters)


def test_threads_change_no_bit(
    calls: list[int], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So much work that threads share it; stretches of two steps."""
    monkeypatch.setattr("bptt.engine.threads.available_cpus", lambda: 3)
    rows, hidden = 260, 20
    monkeypatch.setattr(scale_rows, "_NUMBERS", 2 * rows * T)
    source = partly_seen(rng, rows=300)
    found = []
    for threads in (1, 2, 3):
        net = made(Squared(), cell="lstm", hidden=hidden, layers=2)
        with use_threads(threads):
            history = train(
                net, source, optimizer=Adam(0.01), steps=9, batch_size=rows, clip=1.0, progress=False
            )
        found.append((rows_of(history), copy_of(net)))
    assert calls == [1, 8] * 3
    rows_by_hand = by_hand(
        hand := made(Squared(), cell="lstm", hidden=hidden, layers=2), source, Adam(0.01), 9, rows, clip=ClipNorm(1.0)
    )  # fmt: skip
    for each, weights in found:
        assert each == rows_by_hand
        assert_same_bits(weights, hand.parameters)
