"""Norm, clipping and updates, compiled: the bits of `global_norm`, of the clippings and of `Optimizer.update`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.activations import sqrt, step
from bptt.engine.compiled.training.call_list import Call, CallList, Control
from bptt.engine.compiled.training.update_kernels import OVERFLOW, UNUSUAL, NormKernel, UpdateKernel
from bptt.engine.compiled.workspace import address
from bptt.errors import DivergedError
from bptt.formulas import Formula
from bptt.optim import SGD, Adam, AdamW, ClipNorm, Clipping, ClipValue, Optimizer, RMSProp, global_norm
from bptt.optim.clipping import limit_each, shrink
from bptt.optim.norms import LANES, SAFE

KINDS = {"float32": "float", "float64": "double"}
# Around whole groups of sums, whole vectors, and none.
SHAPES = ((3, 5), (1,), (63,), (64,), (65,), (2, 64), (127,), (129, 2), (333, 3), (8,), (9,), (15,), (17,))
STEPS = 6


@Formula
def sign_of_mean(p: Any, g: Any, m: Any, u: Any, rate: Any, beta: Any, own: Any) -> Any:
    """Two slots, a division, a root and selections: every operation that an update may round."""
    m_new = beta * m + (1 - beta) * g
    sign = step(m_new) - step(-m_new)
    u_new = sqrt(beta * u * u + g * g / 3)
    p_new = p - rate * (sign + own * p) / (1 + u_new)
    return p_new, m_new, u_new


@dataclass(frozen=True)
class Own(Optimizer):
    """An optimiser of a user's, with constants of its own for each parameter."""

    kind: ClassVar[str] = "own"
    slot_names: ClassVar[tuple[str, ...]] = ("m", "u")

    @property
    def formula(self) -> Formula:
        return sign_of_mean

    def constants(self, step: int, name: str) -> tuple[float, ...]:
        return self.rate(step) / (step + 1), 0.9, len(name) / 30


class Ending:
    """The end of a step on random parameters and gradients, compiled; `play` makes one."""

    def __init__(
        self, rng: np.random.Generator, optimizer: Optimizer, clip: Clipping | None, dtype: str,
        shapes: tuple[tuple[int, ...], ...] = SHAPES,
    ) -> None:  # fmt: skip
        self.optimizer, self.dtype = optimizer, dtype
        names = [f"layer.{'W' if k % 2 else 'b'}_{'x' * k}" for k in range(len(shapes))]
        self.parameters = {
            name: rng.standard_normal(shape).astype(dtype) for name, shape in zip(names, shapes, strict=True)
        }
        self.gradients = {name: np.zeros_like(p) for name, p in self.parameters.items()}
        # A guard behind each copy: a kernel that writes past its end shows.
        self.room = {name: np.full(p.size + 16, 7, dtype) for name, p in self.parameters.items()}
        self.before = {
            name: self.room[name][: p.size].reshape(p.shape) for name, p in self.parameters.items()
        }
        self.slots = optimizer.init(self.parameters)
        self.groups = optimizer.groups(tuple(names))
        self.control, self.losses, self.norms = Control(), np.ones(STEPS), np.full(STEPS, -1.0)
        update = UpdateKernel(optimizer.formula, len(optimizer.slot_names))
        limit = limit_each if isinstance(clip, ClipValue) else None
        norm = NormKernel(update.columns, shrink if isinstance(clip, ClipNorm) else None, limit, LANES, SAFE)
        bound = (
            clip.max_norm
            if isinstance(clip, ClipNorm)
            else clip.limit
            if isinstance(clip, ClipValue)
            else 0.0
        )
        rows = [
            [
                p.size, address(p), address(self.gradients[name]), address(self.before[name]),
                next(k for k, group in enumerate(self.groups) if name in group),
                *(address(self.slots[name][slot]) for slot in optimizer.slot_names),
            ]
            for name, p in self.parameters.items()
        ]  # fmt: skip
        with np.errstate(over="ignore"):
            constants = np.array(
                [[optimizer.constants(at, group[0]) for group in self.groups] for at in range(STEPS)], dtype
            )
        table, bounds = np.array(rows, np.int64), np.full(1, bound)
        self.kept = [table, bounds, constants]
        first = [self.control.address, address(table), len(rows)]
        calls = [
            Call(
                norm.load(KINDS[dtype]),
                np.array([*first, address(self.losses), address(self.norms), address(bounds)]),
            ),
            Call(update.load(KINDS[dtype]), np.array([*first, address(constants), 0, len(self.groups)])),
        ]  # fmt: skip
        self.list = CallList(calls, self.control)

    def play(self, gradients: dict[str, Any]) -> int:
        for name, g in gradients.items():
            self.gradients[name][...] = g
        return self.list.play(1)


def drawn(ending: Ending, rng: np.random.Generator, size: float = 1.0) -> dict[str, Any]:
    return {
        name: (rng.standard_normal(p.shape) * size).astype(ending.dtype)
        for name, p in ending.parameters.items()
    }


def copied(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: a.copy() for name, a in arrays.items()}


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


OPTIMIZERS = (
    SGD(0.1), SGD(0.1, momentum=0.9), SGD(0.1, momentum=0.9, nesterov=True), Adam(0.03), AdamW(0.02), RMSProp(0.05),
    Own(0.2),
)  # fmt: skip
CLIPS = (None, ClipNorm(9.0), ClipValue(0.7))


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("clip", CLIPS, ids=str)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_norms_clips_and_updates_have_numpys_bits(
    optimizer: Optimizer, clip: Clipping | None, dtype: str, rng: np.random.Generator
) -> None:
    ending = Ending(rng, optimizer, clip, dtype)
    parameters, slots = copied(ending.parameters), optimizer.init(ending.parameters)
    clipped = []
    for at in range(STEPS):
        # With and without clipping by the norm, which is about 40 times the size.
        gradients = drawn(ending, rng, (0.05, 3.0, 1.0, 0.2, 1e-9, 1e9)[at])
        before = copied(parameters)
        assert ending.play(gradients) == 0
        norm = global_norm(gradients) if clip is None else clip(gradients)
        clipped.append(norm > 9)
        optimizer.update(parameters, gradients, slots, at)
        assert ending.norms[at] == norm
        same(ending.gradients, gradients)
        same(ending.parameters, parameters)
        same(ending.before, before)
        for name, held in slots.items():
            same(ending.slots[name], held)
    assert len(set(clipped)) == 2
    for name, room in ending.room.items():
        np.testing.assert_array_equal(room[ending.parameters[name].size :], 7)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("size", [1, 7, 8, 16, 56, 63, 64, 65, 120, 127, 128, 129, 640, 1000, 4097])
def test_the_norm_of_one_tensor_of_any_size(size: int, dtype: str, rng: np.random.Generator) -> None:
    ending = Ending(rng, SGD(0.1), None, dtype, ((size,),))
    gradients = drawn(ending, rng)
    assert ending.play(gradients) == 0
    assert ending.norms[0] == global_norm(gradients)
    np.testing.assert_allclose(ending.norms[0], np.linalg.norm(*gradients.values()), rtol=1e-6, atol=0)


@pytest.mark.parametrize("clip", CLIPS, ids=str)
def test_norms_at_the_edge_of_float32_need_no_other_way(
    clip: Clipping | None, rng: np.random.Generator
) -> None:
    """Squares of 1e38 and of the smallest numbers there are fit float64."""
    for size in (1e37, 1e-38, 1e-44):
        ending = Ending(rng, SGD(0.0), clip, "float32")
        gradients = drawn(ending, rng, size)
        assert ending.play(gradients) == 0
        expected = global_norm(gradients) if clip is None else clip(gradients)
        assert ending.norms[0] == expected > 0
        same(ending.gradients, gradients)


@pytest.mark.parametrize("clip", CLIPS, ids=str)
@pytest.mark.parametrize("size", [1e200, 1e141, 1e-141, 1e-155, np.inf, np.nan])
def test_a_norm_outside_the_safe_range_stops_before_anything_is_written(
    size: float, clip: Clipping | None, rng: np.random.Generator
) -> None:
    ending = Ending(rng, Adam(0.1), clip, "float64")
    gradients, before = drawn(ending, rng, 1e-200 if size < 1 else 1.0), copied(ending.parameters)
    gradients["layer.b_xx"][5] = size
    assert ending.play(gradients) == UNUSUAL
    assert ending.control.step == 0
    same(ending.gradients, gradients)
    same(ending.parameters, before)
    for held in ending.slots.values():
        assert all((values == 0).all() for values in held.values())


@pytest.mark.parametrize("loss", [np.inf, -np.inf, np.nan])
def test_a_loss_that_is_not_finite_stops_there_too(loss: float, rng: np.random.Generator) -> None:
    ending = Ending(rng, SGD(0.1), ClipNorm(1.0), "float32")
    before = copied(ending.parameters)
    ending.losses[0] = loss
    assert ending.play(drawn(ending, rng)) == UNUSUAL
    assert ending.control.step == 0
    same(ending.parameters, before)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("clip", CLIPS, ids=str)
def test_zero_gradients_are_an_update_like_any_other(
    dtype: str, clip: Clipping | None, rng: np.random.Generator
) -> None:
    ending = Ending(rng, AdamW(0.1), clip, dtype)
    gradients = drawn(ending, rng, 0.0)
    parameters, slots = copied(ending.parameters), ending.optimizer.init(ending.parameters)
    ending.optimizer.update(parameters, gradients, slots, 0)
    flag = ending.play(gradients)
    if flag == 0:
        assert ending.norms[0] == 0
        assert ending.control.step == 1
        same(ending.parameters, parameters)
    else:  # left to NumPy
        assert (flag, ending.control.step) == (UNUSUAL, 0)


def test_a_norm_whose_square_is_no_number_is_never_taken_for_zero(rng: np.random.Generator) -> None:
    """1e-170 squared is 0 in float64; the norm is 1e-170, as NumPy finds it."""
    ending = Ending(rng, SGD(0.1), None, "float64")
    gradients = drawn(ending, rng, 1e-170)
    flag = ending.play(gradients)
    assert flag == UNUSUAL or ending.norms[0] == global_norm(gradients)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize(
    ("optimizer", "size"),
    [(SGD(1.0), 1.2), (SGD(1.0, momentum=0.5), 1.2), (Adam(0.1), 1e-3), (RMSProp(0.1), 1e-3)],
    ids=lambda each: str(each)[:4],
)
def test_an_update_that_overflows_is_told_and_the_weights_before_are_kept(
    optimizer: Optimizer, size: float, dtype: str, rng: np.random.Generator
) -> None:
    """Beside the largest number of the dtype: of the gradient for a plain step, of its square for the others."""
    ending = Ending(rng, optimizer, None, dtype)
    largest = float(np.finfo(dtype).max)
    # One entry alone, in the last vector of a tensor, where the rest of the lanes is masked.
    ending.parameters["layer.W_xxxxx"][-1, -1] = -largest
    before, gradients = copied(ending.parameters), drawn(ending, rng, 1e-3)
    big = 0.9 * largest if size > 1 else np.sqrt(largest) * 1e4
    gradients["layer.W_xxxxx"][-1, -1] = big
    if dtype == "float64":
        # Norms beyond the safe range never come so far: call the update alone.
        ending.list = CallList(ending.list.calls[1:], ending.control)
    assert ending.play(gradients) == OVERFLOW
    assert ending.control.step == 0
    same(ending.before, before)
    with pytest.raises(DivergedError):
        optimizer.update(copied(before), gradients, optimizer.init(before), 0)


def test_an_entry_past_the_end_of_a_tensor_is_no_overflow(rng: np.random.Generator) -> None:
    """0 / 0 in masked lanes is NaN, and nothing of it may count."""

    ending = Ending(rng, Ratio(0.1), None, "float32", ((3,), (9,)))
    gradients = {name: np.abs(g) + 1 for name, g in drawn(ending, rng).items()}
    expected = copied(ending.parameters)
    Ratio(0.1).update(expected, gradients, {name: {} for name in expected}, 0)
    assert ending.play(gradients) == 0
    same(ending.parameters, expected)


@Formula
def ratio(p: Any, g: Any, rate: Any) -> Any:
    """NaN where both are 0."""
    p_new = p - rate * g / g
    return p_new  # noqa: RET504  # a formula returns names


@dataclass(frozen=True)
class Ratio(Optimizer):
    """Steps of one size."""

    kind: ClassVar[str] = "ratio"

    @property
    def formula(self) -> Formula:
        return ratio

    def constants(self, step: int, name: str) -> tuple[float, ...]:
        return (self.rate(step),)
