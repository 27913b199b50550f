"""Which runs are fused and which go step by step: optimisers, networks and sources of a user's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.activations import sqrt, step, tanh
from bptt.data.examples.arrays import Arrays
from bptt.formulas import Formula
from bptt.network import Network, Recurrent
from bptt.optim import L1, L2, SGD, Adam, AdamW, ClipNorm, Clipping, Optimizer, RMSProp, global_norm
from bptt.training import train
from tests.network.build import randomise
from tests.training.setups import assert_same_bits, copy_of
from tests.training.steps.test_fused import by_hand, count_calls, rows_of

N, T, D, K, B, STEPS = 41, 5, 3, 2, 6, 15


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many steps each fused call made; empty where the run went step by step."""
    return count_calls(monkeypatch)


def make(
    dtype: str = "float64", *, kind: type[Network] = Network, engine: str = "compiled", **options: Any
) -> Network:
    settings = {"readout": "last", **options}
    net = kind(Recurrent("elman", D, 7, dtype=dtype, engine=engine), K, **settings)
    return randomise(net, np.random.default_rng(1), gain=0.6)


def data(dtype: str = "float64", steps: int = T) -> Arrays:
    rng = np.random.default_rng(6)
    return Arrays(rng.standard_normal((N, steps, D)).astype(dtype), rng.standard_normal((N, K)).astype(dtype))


def same_as_by_hand(
    net: Network, hand: Network, source: Any, optimizer: Optimizer, clip: Clipping | None = None
) -> None:
    history = train(net, source, optimizer=optimizer, steps=STEPS, batch_size=B, clip=clip, progress=False)
    assert rows_of(history) == by_hand(hand, source, optimizer, STEPS, B, clip=clip)
    assert_same_bits(net.parameters, hand.parameters)


# ---------------------------------------------------------------- optimisers


@Formula
def lion(p: Any, g: Any, m: Any, rate: Any, beta: Any, slow: Any, decay: Any) -> Any:
    """The sign of a mean."""
    c = beta * m + (1 - beta) * g
    p_new = p - rate * (step(c) - step(-c) + decay * p)
    m_new = slow * m + (1 - slow) * g
    return p_new, m_new


@Formula
def bounded(p: Any, g: Any, rate: Any) -> Any:
    """A function whose compiled form rounds otherwise than NumPy's."""
    p_new = p - rate * tanh(3 * g)
    return p_new  # noqa: RET504  # a formula returns names


@Formula
def adagrad(p: Any, g: Any, s: Any, rate: Any) -> Any:
    """Slots that do not start from 0."""
    s_new = s + g * g
    p_new = p - rate * g / sqrt(s_new)
    return p_new, s_new


@dataclass(frozen=True)
class Lion(Optimizer):
    """A formula of its own, and constants for each parameter."""

    kind: ClassVar[str] = "lion"
    slot_names: ClassVar[tuple[str, ...]] = ("m",)

    @property
    def formula(self) -> Formula:
        return lion

    def constants(self, step: int, name: str) -> tuple[float, ...]:
        return self.rate(step) / (1 + step), 0.9, 0.99, 0.3 if ".W_" in name else 0.0


@dataclass(frozen=True)
class Bounded(Optimizer):
    """A formula with a transcendental function."""

    kind: ClassVar[str] = "bounded"

    @property
    def formula(self) -> Formula:
        return bounded

    def constants(self, step: int, name: str) -> tuple[float, ...]:
        return (self.rate(step),)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """A start of its own."""

    kind: ClassVar[str] = "adagrad"
    slot_names: ClassVar[tuple[str, ...]] = ("s",)

    @property
    def formula(self) -> Formula:
        return adagrad

    def constants(self, step: int, name: str) -> tuple[float, ...]:
        return (self.rate(step),)

    def init(self, parameters: Any) -> Any:
        return {name: {"s": np.full_like(p, 0.1)} for name, p in parameters.items()}


class Slower(Adam):
    """Constants for each parameter, with the groups of Adam: one for all."""

    def constants(self, step: int, name: str) -> tuple[float, ...]:
        rate, *rest = super().constants(step, name)
        return (rate / 3 if name.startswith("readout") else rate, *rest)


class _Mixin:
    def constants(self, step: int, name: str) -> tuple[float, ...]:
        rate, *rest = super().constants(step, name)  # type: ignore[misc]  # of the class it is mixed into
        return (rate / 3 if name.startswith("readout") else rate, *rest)


class Mixed(_Mixin, RMSProp):
    """The same by a class in front."""


class Grouped(Slower):
    """The same, with groups that belong to them."""

    def groups(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        readout = tuple(name for name in names if name.startswith("readout"))
        return (readout, tuple(name for name in names if name not in readout))


class Warm(SGD):
    """A rate of its own."""

    def rate(self, step: int) -> float:
        return super().rate(step) / (1 + step)


class Lazy(Adam):
    """An update of its own: every other one is left out."""

    def update(self, parameters: Any, gradients: Any, slots: Any, step: int) -> None:
        if step % 2 == 0:
            super().update(parameters, gradients, slots, step)


class Double(Adam):
    """Slots in another dtype than the parameters: what NumPy makes of them."""

    def init(self, parameters: Any) -> Any:
        return {name: {slot: np.zeros(p.shape) for slot in self.slot_names} for name, p in parameters.items()}


class Backwards(Adam):
    """Slots in another order of memory."""

    def init(self, parameters: Any) -> Any:
        return {
            name: {slot: np.zeros(p.shape, p.dtype, order="F") for slot in self.slot_names}
            for name, p in parameters.items()
        }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("optimizer", "whole"),
    [
        (Lion(0.1), True), (Adagrad(0.05), True), (Grouped(0.02), True), (Warm(0.3, momentum=0.5), True),
        (AdamW(0.02, weight_decay=0.3, pattern="layers.*"), True), (Slower(0.02), False), (Mixed(0.02), False),
        (Lazy(0.02), False),
    ],
    ids=lambda each: type(each).__name__,
)  # fmt: skip
def test_optimisers_of_a_user(optimizer: Optimizer, whole: bool, dtype: str, fused: list[int]) -> None:
    net, before = make(dtype), copy_of(make(dtype))
    same_as_by_hand(net, make(dtype), data(dtype), optimizer, ClipNorm(1.5))
    assert fused == ([1, STEPS - 1] if whole else [])
    assert not np.array_equal(net.parameters["readout.b_y"], before["readout.b_y"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_formula_with_a_transcendental_function(dtype: str) -> None:
    same_as_by_hand(make(dtype), make(dtype), data(dtype), Bounded(0.1))


@pytest.mark.parametrize("optimizer", [Double(0.02), Backwards(0.02)], ids=lambda each: type(each).__name__)
def test_slots_of_another_kind(optimizer: Optimizer) -> None:
    same_as_by_hand(make("float32"), make("float32"), data("float32"), optimizer)


# ---------------------------------------------------------------- clippings, penalties, networks


@dataclass(frozen=True)
class Half(Clipping):
    """A clipping of a user's."""

    kind: ClassVar[str] = "half"

    def __call__(self, gradients: Any) -> float:
        size = global_norm(gradients)
        for g in gradients.values():
            g /= 2
        return size


class Sharper(ClipNorm):
    """A subclass of ours that does something else."""

    def __call__(self, gradients: Any) -> float:
        size = super().__call__(gradients)
        for g in gradients.values():
            g[...] = np.sign(g)
        return size


@pytest.mark.parametrize("clip", [Half(), Sharper(0.5)], ids=str)
def test_clippings_of_a_user(clip: Clipping, fused: list[int]) -> None:
    same_as_by_hand(make(), make(), data(), SGD(0.01), clip)
    assert fused == []


class OwnAdd(L2):
    """A penalty of a user's that adds twice as much."""

    def add(self, parameters: Any, gradients: Any) -> Any:
        super().add(parameters, gradients)
        return super().add(parameters, gradients)


def test_penalties_are_fused_and_change_no_bit(fused: list[int]) -> None:
    penalties = [L2(0.3), L1(0.01, "*b_*")]
    nets = [make(), make(), make()]
    given = {"optimizer": SGD(0.05), "steps": STEPS, "batch_size": B, "progress": False}
    train(nets[0], data(), penalty=penalties, **given)
    assert sum(fused) == STEPS
    source = data()
    source.batch = source.batch  # asked for batches, and so step by step
    train(nets[1], source, penalty=penalties, **given)
    train(nets[2], data(), penalty=OwnAdd(0.3), **given)
    assert sum(fused) == STEPS
    assert_same_bits(nets[0].parameters, nets[1].parameters)
    assert np.linalg.norm(nets[2].parameters["layers.0.W_hh"]) < np.linalg.norm(
        nets[0].parameters["layers.0.W_hh"]
    )


class Frozen(Network):
    """A network of a user's, of which a part is not trained."""

    def loss_and_gradients(self, *args: Any, **given: Any) -> Any:
        found = super().loss_and_gradients(*args, **given)
        for name, g in found.gradients.parameters.items():
            if name.startswith("layers"):
                g[...] = 0
        return found


def test_a_network_with_gradients_of_its_own() -> None:
    net, hand = make(kind=Frozen), make(kind=Frozen)
    same_as_by_hand(net, hand, data(), SGD(0.05))
    np.testing.assert_array_equal(net.parameters["layers.0.W_hh"], make().parameters["layers.0.W_hh"])


def test_a_parameter_that_cannot_be_written_is_not_written() -> None:
    messages = []
    for engine in ("compiled", "numpy"):
        net = make(engine=engine)
        before = copy_of(net)
        net.parameters["readout.W_hy"].flags.writeable = False
        with pytest.raises(ValueError, match="read-only") as caught:
            train(net, data(), steps=STEPS, batch_size=B, progress=False)
        messages.append(str(caught.value))
        np.testing.assert_array_equal(net.parameters["readout.W_hy"], before["readout.W_hy"])
    assert messages[0] == messages[1]


def test_a_run_after_another_and_on_other_data(fused: list[int]) -> None:
    """Nothing of a run stays in the network but its weights."""
    net, hand = make(), make()
    for size, steps in ((3, T), (B, T), (3, T + 2)):
        source = data(steps=steps)
        history = train(net, source, optimizer=Adam(0.01), steps=STEPS, batch_size=size, progress=False)
        assert rows_of(history) == by_hand(hand, source, Adam(0.01), STEPS, size)
        # New arrays, as a user might set them.
        for each in (net, hand):
            for name, p in each.parameters.items():
                each.parameters[name] = p * 0.9
    assert sum(fused) == 3 * STEPS
    assert_same_bits(net.parameters, hand.parameters)
