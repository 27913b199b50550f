"""From sums to predictions, loss and its gradient with respect to the sums: one pass over the outputs.

Sums, predictions, targets and bases have one layout: M rows of `ldc` numbers, N of them outputs. `scales` holds what
the loss of each row is multiplied by: a row with 0 is left out, NaN or not. Constants are one row of `ldc` numbers.
Predictions are written only where there is room for them: training reads none, and those of a batch of long sequences
are more than the second cache holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from llvmlite import ir

from bptt.cached import cached_property
from bptt.engine.compiled.equations.programs import emit_program, of_formula
from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.arguments import ArgumentFrame
from bptt.engine.compiled.llvm.emitter import Value
from bptt.engine.compiled.llvm.functions import EMITTED
from bptt.engine.compiled.llvm.machine_code import Kernel, load_kernels, new_module
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.training.call_list import STEP
from bptt.formulas import Formula

_DOUBLE = ir.DoubleType()


@dataclass(frozen=True)
class PointwiseHead:
    """Output activation, predicted change and pointwise loss, compiled as one.

    Attributes
    ----------
    activation : str
        Name of the output activation.
    formula : Formula
        ``(y_hat, y, *constants) -> (loss, dy_hat)``.
    change : bool
        Whether y_hat is `base` + `change_scale` times the activated sums.
    """

    activation: str
    formula: Formula
    change: bool

    @cached_property
    def constants(self) -> tuple[str, ...]:
        """Names of the constants' arrays."""
        return tuple(f"constant:{k}" for k in range(len(self.formula.arguments) - 2))

    @cached_property
    def slots(self) -> dict[str, int]:
        """Place of each argument."""
        names = (
            "control",
            "M",
            "N",
            "ldc",
            "sums",
            "y_hat",
            "y",
            "scales",
            "base",
            "change_scale",
            "losses",
            *self.constants,
        )
        return {name: k for k, name in enumerate(names)}


CLASSES = {
    name: k
    for k, name in enumerate(
        ("control", "M", "N", "ldc", "sums", "y_hat", "labels", "scales", "losses", "wholes", "chosen")
    )
}


@cache
def pointwise_kernel(head: PointwiseHead, kind: str) -> Kernel:
    """Return the kernel that turns sums into their gradient in place, writes the loss, and y_hat where it is given."""
    wanted = f"loss, {kind}\n{head.activation} {head.change}\n{head.formula.source}"
    return load_kernels(wanted, ("loss",), lambda prefix: _emit_pointwise(prefix, head, kind))["loss"]


@cache
def cross_entropy_kernel(kind: str) -> Kernel:
    """Return the same for the softmax cross-entropy against 64-bit labels; `scales` has one number a row."""
    return load_kernels(f"cross-entropy, {kind}", ("loss",), lambda prefix: _emit_classes(prefix, kind))[
        "loss"
    ]


def _emit_pointwise(prefix: str, head: PointwiseHead, kind: str) -> Any:
    module = new_module("bptt")
    lanes = lanes_of(kind, host())
    e = ArgumentFrame(module, f"{prefix}loss", lanes, head.slots, public=True)
    program = of_formula(head.formula)
    total = _Total(e)
    change = e.splat(e.load_scalar(e.pointer("change_scale"))) if head.change else None
    zero, N, ldc, count = e.integer(0), e.number("N"), e.number("ldc"), e.integer(lanes.count)
    shown = e.given("y_hat")
    with e.loop(zero, e.number("M")) as m:
        scale = e.splat(e.load_scalar(e.at(e.pointer("scales"), m)))
        whole = e.compare("!=", scale, e.const(0))
        with e.loop(zero, ldc, count) as n:
            i = e.plus(e.times(m, ldc), n)

            def read(name: str, place: Value = i) -> Value:
                return e.load(e.at(e.pointer(name), place))

            activated = EMITTED[head.activation](e, read("sums"))
            y_hat = activated if change is None else e.add(read("base"), e.mul(activated, change))
            counts = e.b.and_(whole, e.below(n, N))
            values = [y_hat, read("y"), *(read(name, n) for name in head.constants)]
            found = emit_program(e, program, dict(zip(head.formula.arguments, values, strict=True)), {})
            loss, dy_hat = (found[name] for name in head.formula.results)
            total.add(e.select(counts, e.mul(loss, scale), e.const(0)))
            slope = e.mul(dy_hat, scale)
            if change is not None:
                slope = e.mul(slope, change)
            slope = e.mul(slope, EMITTED[f"{head.activation}_derivative"](e, activated))
            with e.when(shown):
                e.store(y_hat, e.at(e.pointer("y_hat"), i))
            e.store(e.select(counts, slope, e.const(0)), e.at(e.pointer("sums"), i))
    total.finish()
    e.b.ret_void()
    return module


def _emit_classes(prefix: str, kind: str) -> Any:
    module = new_module("bptt")
    lanes = lanes_of(kind, host())
    e = ArgumentFrame(module, f"{prefix}loss", lanes, CLASSES, public=True)
    N, ldc, count = e.number("N"), e.number("ldc"), e.integer(lanes.count)
    zero, vector = e.integer(0), lanes.vector
    total = _Total(e)
    with e.loop(zero, e.number("M")) as m:
        row = e.at(e.pointer("sums"), e.times(m, ldc))
        y_hat = e.at(e.pointer("y_hat"), e.times(m, ldc))
        scale = e.load_scalar(e.at(e.pointer("scales"), m))
        label = e.load_integer(e.pointer("labels"), m)
        top = e.variable(e.const(-float("inf")))
        with e.loop(zero, N, count) as n:
            value, seen = e.load(e.at(row, n)), e.read(top, vector)
            larger = e.b.and_(e.below(n, N), e.compare(">", value, seen))
            e.write(e.select(larger, value, seen), top)
        top_one = e.fold(e.read(top, vector), "greater")
        highest = e.splat(top_one)
        sums = e.variable(e.const(0))
        with e.loop(zero, N, count) as n:
            value = e.load(e.at(row, n))
            e.store(value, e.at(y_hat, n))
            raised = e.select(e.below(n, N), EMITTED["exp"](e, e.b.fsub(value, highest)), e.const(0))
            e.store(raised, e.at(row, n))
            e.write(e.b.fadd(e.read(sums, vector), raised), sums)
        whole_one = e.fold(e.read(sums, vector), "sum")
        whole = e.splat(whole_one)
        counts = e.b.fcmp_ordered("!=", scale, ir.Constant(lanes.scalar, 0.0))
        chosen = e.b.fsub(e.load_scalar(e.at(y_hat, label)), top_one)
        e.store(whole_one, e.at(e.pointer("wholes"), m))
        e.store(chosen, e.at(e.pointer("chosen"), m))
        with e.loop(zero, N, count) as n:
            truth = e.select(e.equal_lane(n, label), e.const(1), e.const(0))
            slope = e.mul(e.b.fsub(e.div(e.load(e.at(row, n)), whole), truth), e.splat(scale))
            kept = e.b.and_(e.splat_flag(counts), e.below(n, N))
            e.store(e.select(kept, slope, e.const(0)), e.at(row, n))
    # The rows' logarithms side by side: one at a time each would cost as much as a whole vector of them.
    with e.loop(zero, e.number("M"), count) as m:
        mask = e.below(m, e.number("M"))
        scale, whole, chosen = (
            e.load_masked(e.at(e.pointer(name), m), mask) for name in ("scales", "wholes", "chosen")
        )
        loss = e.mul(e.b.fsub(EMITTED["log"](e, whole), chosen), scale)
        counts = e.b.and_(mask, e.compare("!=", scale, e.const(0)))
        total.add(e.select(counts, loss, e.const(0)))
    total.finish()
    e.b.ret_void()
    return module


class _Total:
    """The sum of scaled losses, in double precision: it is reported, and goes into no gradient."""

    def __init__(self, e: ArgumentFrame) -> None:
        self.e = e
        self.kind = ir.VectorType(_DOUBLE, e.lanes.count)
        self.place = e.variable(ir.Constant(self.kind, [0.0] * e.lanes.count))

    def add(self, value: Value) -> None:
        e = self.e
        wide = value if e.lanes.kind == "double" else e.b.fpext(value, self.kind)
        e.write(e.b.fadd(e.read(self.place, self.kind), wide), self.place)

    def finish(self) -> None:
        """Write the step's loss."""
        e = self.e
        vector = e.read(self.place, self.kind)
        total = e.b.extract_element(vector, _lane(0))
        for k in range(1, e.lanes.count):
            total = e.b.fadd(total, e.b.extract_element(vector, _lane(k)))
        control = e.pointer("control")
        step = e.load_integer(control, e.integer(STEP))
        e.b.store(total, e.b.gep(e.pointer("losses"), [step], source_etype=_DOUBLE))


def _lane(k: int) -> Any:
    return ir.Constant(ir.IntType(32), k)
