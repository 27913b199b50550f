"""Many steps in one compiled call against steps made by hand: losses, norms, rates and weights equal to the bit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.data import Sequences, Windows
from bptt.data.examples.arrays import Arrays
from bptt.data.examples.batch import Source
from bptt.engine.threads import get_threads, use_threads
from bptt.errors import InvalidInput
from bptt.losses import Huber, Pinball, get_loss
from bptt.network import Network, Recurrent
from bptt.optim import (
    SGD,
    Adam,
    AdamW,
    ClipNorm,
    Clipping,
    ClipValue,
    Cosine,
    InverseTime,
    Optimizer,
    RMSProp,
    StepDecay,
    global_norm,
)
from bptt.training import EarlyStopping, Event, evaluate, train
from bptt.training.steps import fused as fused_module
from bptt.training.steps.batches import index_blocks
from tests.engine.own_cells import Leaky
from tests.network.build import randomise
from tests.training.setups import assert_same_bits, copy_of

# Examples, steps, inputs, outputs. B does not divide N.
N, T, D, K, B = 53, 6, 3, 4, 7
STEPS = 19


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let a call take all the steps that it may, on a slow machine too; return how many each of them makes."""
    made: list[int] = []
    play = fused_module.Fused.play

    def counted(self: Any, block: Any, most: int) -> int:
        before = self.made
        flag = play(self, block, most)
        made.append(self.made - before)
        return flag

    monkeypatch.setattr(fused_module, "_CALL_SECONDS", 1e9)
    monkeypatch.setattr(fused_module.Fused, "play", counted)
    return made


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many steps each call made."""
    return count_calls(monkeypatch)


AXES: dict[str, tuple[Any, ...]] = {
    "cell": ("elman", "gru", "lstm", Leaky),
    "layers": (1, 2),
    "hidden": (5, 19),
    "source": ("windows", "sequences", "warm-up", "last", "every"),
    "loss": ("mse", "mae", "huber", "pinball", "cross-entropy"),
    "time": ("mean", "sum"),
    "activation": ("identity", "tanh", "sigmoid", "relu", "softplus"),
    "lags": (0, 2, T, T + 3),
    "change": (False, True),
    "bias": (True, False),
    "optimizer": ("sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"),
    "clip": (None, ClipNorm(0.4), ClipValue(0.03)),
    "dtype": ("float64", "float32"),
    "sampling": ("random", "shuffled"),
    "rows": (B, 1, N + 18),
}

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": SGD(0.05, decay=0.1),
    "momentum": SGD(InverseTime(0.04, 0.2), momentum=0.9),
    "nesterov": SGD(StepDecay(0.03, 5, 0.5), momentum=0.8, nesterov=True),
    "adam": Adam(Cosine(0.02, STEPS, 4, 0.1)),
    "adamw": AdamW(Cosine(0.03, STEPS), weight_decay=0.2),
    "rmsprop": RMSProp(0.007, rho=0.8),
}


def pairwise(axes: dict[str, tuple[Any, ...]], seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield cases in which every two values of two axes meet: those of a few drawn that bring the most new pairs."""
    rng = np.random.default_rng(seed)
    left = {
        ((a, i), (b, j))
        for a, b in itertools.combinations(axes, 2)
        for i in range(len(axes[a]))
        for j in range(len(axes[b]))
    }
    while left:
        wanted = min(left)
        drawn = []
        for _ in range(40):
            place = {name: int(rng.integers(len(values))) for name, values in axes.items()}
            place |= dict(wanted)
            drawn.append((place, left & set(itertools.combinations(place.items(), 2))))
        place, found = max(drawn, key=lambda each: len(each[1]))
        left -= found
        yield {name: axes[name][k] for name, k in place.items()}


@dataclass(frozen=True)
class Case:
    """What a run is made of, with what does not go together replaced."""

    given: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.given[name]

    @classmethod
    def of(cls, given: dict[str, Any]) -> Case:
        made = dict(given)
        if made["loss"] == "cross-entropy":
            every = made["source"] in ("sequences", "warm-up", "every")
            made |= {"source": "every" if every else "last", "activation": "identity", "change": False}
        return cls(made)

    def __str__(self) -> str:
        names = (
            value if isinstance(value, str) else getattr(value, "name", value)
            for value in self.given.values()
        )
        return "-".join(map(str, names))

    @property
    def readout(self) -> str:
        return "last" if self.source in ("windows", "last") else "every"

    def net(self) -> Network:
        losses = {
            "huber": Huber(0.3, time=self.time),
            "pinball": Pinball((0.2, 0.9), time=self.time),
            "cross-entropy": get_loss({"kind": "cross_entropy", "time": self.time}),
        }
        names = {"mse": "squared", "mae": "absolute"}
        loss = losses.get(self.loss) or get_loss({"kind": names[self.loss], "time": self.time})
        stack = Recurrent(
            self.cell,
            D,
            self.hidden,
            num_layers=self.layers,
            bias=self.bias,
            dtype=self.dtype,
            engine="compiled",
        )
        net = Network(
            stack, K, readout=self.readout, loss=loss, output_activation=self.activation, bias=self.bias,
            linear_lags=self.lags, change_of=(2, 0, 2, 1) if self.change else None,
            change_scale=0.7 if self.change else 1.0,
        )  # fmt: skip
        return randomise(net, np.random.default_rng(3), gain=0.6)

    def data(self) -> Source:
        rng = np.random.default_rng(4)
        targets = K // 2 if self.loss == "pinball" else K
        # float64 for a float32 network too: it is rounded on the way.
        if self.source in ("last", "every"):
            rows = (N, T) if self.source == "every" else (N,)
            classes = self.loss == "cross-entropy"
            y = rng.integers(K, size=rows) if classes else rng.standard_normal((*rows, targets))
            return Arrays(rng.standard_normal((N, T, D)), y)
        values = rng.standard_normal((N + T + 9, 5))
        columns = {"inputs": (3, 0, 4), "targets": tuple(range(targets)), "length": T, "horizon": 2}
        # A gap: the starts are no plain range.
        columns |= {"segments": (0, 31), "dtype": self.dtype}
        if self.source == "windows":
            return Windows(values, **columns)
        return Sequences(values, warmup=4 if self.source == "warm-up" else 0, **columns)


CASES = [Case.of(each) for each in pairwise(AXES)]


def by_hand(
    net: Network, source: Source, optimizer: Optimizer, steps: int, size: int, *,
    sampling: str = "random", seed: int = 0, clip: Clipping | None = None,
) -> list[tuple[float, float, float]]:  # fmt: skip
    """Train with a loop over what the package offers, one step at a time; return losses, norms and rates."""
    slots, rows = optimizer.init(net.parameters), []
    for block in index_blocks(len(source), size, steps, sampling, seed):
        for indices in block:
            batch = source.batch(indices)
            found = net.loss_and_gradients(batch.x, batch.y, weights=batch.weights, lengths=batch.lengths)
            gradients = found.gradients.parameters
            norm = global_norm(gradients) if clip is None else clip(gradients)
            optimizer.update(net.parameters, gradients, slots, len(rows))
            rows.append((found.loss, norm, optimizer.rate(len(rows))))
    return rows


def rows_of(history: Any) -> list[tuple[float, float, float]]:
    columns = (history.losses, history.gradient_norms, history.learning_rates)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("case", CASES, ids=map(str, CASES))
def test_the_bits_of_steps_made_by_hand(case: Case, calls: list[int]) -> None:
    source, optimizer = case.data(), OPTIMIZERS[case.optimizer]
    settings = {
        "optimizer": optimizer, "steps": STEPS, "batch_size": case.rows, "sampling": case.sampling, "seed": 5,
        "clip": case.clip, "progress": False,
    }  # fmt: skip
    whole, looking, hand = case.net(), case.net(), case.net()
    history = train(whole, source, **settings)
    # Random: a step to measure the time, then the rest. Shuffled: each epoch ends with a smaller batch.
    if case.sampling == "random" or case.rows == 1:
        assert calls == [1, STEPS - 1]
    else:
        assert sum(calls) == STEPS
        assert max(calls) > 1 or case.rows > len(source)
    rows = by_hand(
        hand, source, optimizer, STEPS, case.rows, sampling=case.sampling, seed=5, clip=case.clip
    )  # fmt: skip
    assert rows_of(history) == rows
    assert_same_bits(whole.parameters, hand.parameters)
    calls.clear()
    weights: list[Any] = []
    seen = train(looking, source, callbacks=[lambda event: weights.append(copy_of(event.net))], **settings)
    assert calls == [1] * STEPS
    assert rows_of(seen) == rows
    assert_same_bits(looking.parameters, hand.parameters)
    assert_same_bits(weights[-1], hand.parameters)
    assert not np.array_equal(weights[0]["readout.W_hy"], weights[-1]["readout.W_hy"])


def test_the_cases_clip_some_steps_and_not_others() -> None:
    clipped = [case for case in CASES if isinstance(case.clip, ClipNorm)]
    norms = []
    for case in clipped[:6]:
        history = train(
            case.net(), case.data(), optimizer=OPTIMIZERS[case.optimizer], steps=STEPS, batch_size=case.rows,
            clip=case.clip, progress=False,
        )  # fmt: skip
        norms += history.gradient_norms.tolist()
    assert min(norms) < 0.4 < max(norms)


def test_a_run_of_several_blocks_and_calls_has_the_bits_of_a_short_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = CASES[0]
    monkeypatch.setattr(fused_module, "_MOST_STEPS", 37)
    net, hand, source = case.net(), case.net(), case.data()
    optimizer = SGD(1e-3, momentum=0.5)
    history = train(net, source, optimizer=optimizer, steps=1100, batch_size=2, progress=False)
    assert rows_of(history) == by_hand(hand, source, optimizer, 1100, 2)
    assert_same_bits(net.parameters, hand.parameters)


@pytest.mark.parametrize(("every", "patience"), [(4, 50), (1, 2), (7, 1), (30, 1)])
def test_validation_and_early_stopping_cut_calls(every: int, patience: int, calls: list[int]) -> None:
    case = next(case for case in CASES if case.source == "windows")
    source, held_out = case.data().split_last(0.3)
    # So fast that it gets worse again.
    optimizer = Adam(0.2)
    nets = [case.net(), case.net(), case.net()]
    settings = {
        "optimizer": optimizer, "steps": 25, "batch_size": B, "validation": held_out, "evaluate_every": every,
        "early_stopping": EarlyStopping(patience), "progress": False,
    }  # fmt: skip
    history = train(nets[0], source, **settings)
    assert len(calls) < history.steps or every == 1
    events: list[Event] = []
    looking = train(nets[1], source, callbacks=[events.append], **settings)
    assert rows_of(looking) == rows_of(history)
    assert looking.validation == history.validation
    assert (looking.stopped_because, looking.best_step) == (history.stopped_because, history.best_step)
    assert_same_bits(nets[1].parameters, nets[0].parameters)
    # By hand as far as each evaluation.
    for made, loss in history.validation:
        by_hand(hand := case.net(), source, optimizer, made, B)
        assert evaluate(hand, held_out) == loss
        if made == history.best_step:
            assert_same_bits(nets[0].parameters, hand.parameters)
    told = {event.step + 1: event.validation_loss for event in events if event.validation_loss is not None}
    assert told == dict(history.validation)


def test_evaluation_stops_a_run_early() -> None:
    """The cases above hold runs that end early, and others that do not."""
    case = next(case for case in CASES if case.source == "windows")
    source, held_out = case.data().split_last(0.3)
    ends = {
        train(
            case.net(), source, optimizer=Adam(0.2), steps=25, batch_size=B, validation=held_out,
            evaluate_every=every, early_stopping=patience, progress=False,
        ).stopped_because
        for every, patience in ((4, 50), (1, 2), (7, 1), (30, 1))
    }  # fmt: skip
    assert ends == {"finished", "early stopping"}


@pytest.mark.parametrize(
    ("hidden", "rows"),
    [
        pytest.param(150, 9),
        (20, 260),
    ],
    ids=["forward alone", "both ways"],
)
def test_threads_change_no_bit(
    hidden: int, rows: int, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So much work that threads share the forward pass, and the sweep back too."""
    # A machine with one processor would not make a team at all.
    monkeypatch.setattr("bptt.engine.threads.available_cpus", lambda: 2)
    rng = np.random.default_rng(0)
    source = Arrays(rng.standard_normal((N, 9, D)).astype("f"), rng.standard_normal((N, 9, K)).astype("f"))
    found = []
    for threads in (1, 2):
        stack = Recurrent("lstm", D, hidden, num_layers=2, dtype="float32", engine="compiled")
        net = randomise(Network(stack, K, readout="every"), np.random.default_rng(1))
        with use_threads(threads):
            history = train(
                net, source, optimizer=Adam(0.01), steps=7, batch_size=rows, clip=1.0, progress=False
            )
        found.append((rows_of(history), copy_of(net)))
    assert calls == [1, 6, 1, 6]
    assert found[0][0] == found[1][0]
    assert_same_bits(found[0][1], found[1][1])


def test_threads_are_an_argument_of_train() -> None:
    rng = np.random.default_rng(5)
    source = Arrays(rng.standard_normal((N, 9, D)).astype("f"), rng.standard_normal((N, 9, K)).astype("f"))
    before, seen = get_threads(), []
    net = Network(Recurrent("elman", D, 7, dtype="float32", engine="compiled"), K, readout="every")
    look = [lambda _: seen.append(get_threads())]
    train(net, source, steps=2, batch_size=5, threads=1, callbacks=look, progress=False)
    assert seen == [1, 1]
    assert get_threads() == before
    with pytest.raises(InvalidInput, match=r"^threads must be at least 1\. Got 0"):
        train(net, source, steps=2, threads=0, progress=False)
