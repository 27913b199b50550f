"""The end of a training step: norm of the gradients, clipping, the optimiser's update.

Every operation rounds as NumPy's does (nothing is contracted), and sums run in the order of `bptt.optim.global_norm`:
`Optimizer.update` and the clippings give the same bits from Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from llvmlite import ir

from bptt.cached import cached_property
from bptt.engine.compiled.equations.programs import Program, emit_program, of_formula
from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.arguments import ArgumentFrame
from bptt.engine.compiled.llvm.emitter import I64, POINTER, Emitter, Value
from bptt.engine.compiled.llvm.machine_code import Kernel, load_kernels, new_module
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.training.call_list import FLAG, STEP
from bptt.formulas import Formula

# Why a list of calls stops: the norm, or the loss, is one that Python must look at; the update left the dtype.
UNUSUAL, OVERFLOW = 1, 2

# The table has a row a tensor: its size, then the addresses of its parts, then its row of constants.
SIZE, PARAMETER, GRADIENT, BEFORE, CONSTANTS, SLOT = range(6)

_DOUBLE = ir.DoubleType()
_EIGHT = ir.VectorType(_DOUBLE, 8)
_GROUPS = 8  # of eight sums of squares


@dataclass(frozen=True)
class NormKernel:
    """Norm and clipping, compiled as one.

    Attributes
    ----------
    columns : int
        Of the table.
    shrink, limit : Formula or None
        `(g, largest, factor)` for a largest norm, `(g, limit)` for a largest value; at most one of them.
    lanes, safe : int and (float, float)
        Sums kept apart, and the range in which a sum of squares has lost nothing, as in `bptt.optim.norms`.
    """

    columns: int
    shrink: Formula | None
    limit: Formula | None
    lanes: int
    safe: tuple[float, float]

    SLOTS: ClassVar[dict[str, int]] = {
        name: k for k, name in enumerate(("control", "table", "tensors", "losses", "norms", "bound"))
    }

    def load(self, kind: str) -> Kernel:
        """Return the kernel for a dtype ("float" or "double")."""
        return _load_norm(self, kind)


@dataclass(frozen=True)
class UpdateKernel:
    """An optimiser's update of all tensors.

    Attributes
    ----------
    formula : Formula
        ``(p, g, *slots, *constants) -> (p, *slots)``.
    slots : int
    """

    formula: Formula
    slots: int

    SLOTS: ClassVar[dict[str, int]] = {
        name: k for k, name in enumerate(("control", "table", "tensors", "constants", "first", "rows"))
    }

    @property
    def columns(self) -> int:
        """Columns of the table."""
        return SLOT + self.slots

    @cached_property
    def constants(self) -> int:
        """Numbers in a row of constants."""
        return len(self.formula.arguments) - 2 - self.slots

    def load(self, kind: str) -> Kernel:
        """Return the kernel for a dtype ("float" or "double")."""
        return _load_update(self, kind)


@dataclass(frozen=True)
class PenaltyKernel:
    """A penalty's gradient, added to those of some tensors.

    Attributes
    ----------
    formula : Formula
        ``(p, strength) -> (value, dp)``.
    """

    formula: Formula

    # The table has a row a tensor: SIZE, PARAMETER, GRADIENT.
    SLOTS: ClassVar[dict[str, int]] = {name: k for k, name in enumerate(("table", "tensors", "strength"))}

    def load(self, kind: str) -> Kernel:
        """Return the kernel for a dtype ("float" or "double")."""
        return _load_penalty(self, kind)


@cache
def _load_penalty(wanted: PenaltyKernel, kind: str) -> Kernel:
    text = f"penalty, {kind}\n{wanted.formula.source}"
    return load_kernels(text, ("penalty",), lambda prefix: _emit_penalty(prefix, wanted, kind))["penalty"]


@cache
def _load_norm(wanted: NormKernel, kind: str) -> Kernel:
    assert wanted.lanes == 8 * _GROUPS
    sources = [each.source for each in (wanted.shrink, wanted.limit) if each is not None]
    text = f"norm, {kind}\n{wanted.columns} {wanted.safe} {wanted.shrink is None}\n" + "\n".join(sources)
    return load_kernels(text, ("norm",), lambda prefix: _emit_norm(prefix, wanted, kind))["norm"]


@cache
def _load_update(wanted: UpdateKernel, kind: str) -> Kernel:
    text = f"update, {kind}\n{wanted.slots}\n{wanted.formula.source}"
    return load_kernels(text, ("update",), lambda prefix: _emit_update(prefix, wanted, kind))["update"]


@cache
def _program(formula: Formula) -> Program:
    return of_formula(formula)


class _Table:
    """Reads a tensor's row of the table."""

    def __init__(self, e: ArgumentFrame, columns: int, tensor: Value) -> None:
        self.e = e
        self.row = e.b.gep(e.pointer("table"), [e.times(tensor, e.integer(columns))], source_etype=I64)

    def number(self, column: int) -> Value:
        return self.e.b.load(self.e.b.gep(self.row, [self.e.integer(column)], source_etype=I64), typ=I64)

    def pointer(self, column: int) -> Value:
        return self.e.b.inttoptr(self.number(column), POINTER)


def _emit_norm(prefix: str, wanted: NormKernel, kind: str) -> Any:
    module = new_module("bptt")
    e = ArgumentFrame(
        module, f"{prefix}norm", lanes_of(kind, host()), wanted.SLOTS, public=True, contract=False
    )
    zero, control = e.integer(0), e.pointer("control")
    step = e.load_integer(control, e.integer(STEP))
    none = ir.Constant(_DOUBLE, 0.0)
    total = e.variable(none)
    with e.b.goto_entry_block():
        room = e.b.alloca(ir.ArrayType(_DOUBLE, wanted.lanes))
        sums = e.b.inttoptr(e.b.ptrtoint(room, I64), POINTER)
    with e.loop(zero, e.number("tensors")) as tensor:
        row = _Table(e, wanted.columns, tensor)
        part = _squares(e, row.pointer(GRADIENT), row.number(SIZE), sums, wanted.lanes)
        e.b.store(e.b.fadd(e.b.load(total, typ=_DOUBLE), part), total)
    squares = e.b.load(total, typ=_DOUBLE)
    norm = e.b.call(_scalar(module, "llvm.sqrt.f64", 1), [squares])
    e.b.store(norm, e.b.gep(e.pointer("norms"), [step], source_etype=_DOUBLE))
    loss = e.b.load(e.b.gep(e.pointer("losses"), [step], source_etype=_DOUBLE), typ=_DOUBLE)
    low, high = (ir.Constant(_DOUBLE, number) for number in wanted.safe)
    usual = e.b.and_(e.b.fcmp_ordered(">", squares, low), e.b.fcmp_ordered("<", squares, high))
    plain = e.variable(usual)
    with e.when(e.b.fcmp_ordered("==", squares, none)):
        # All gradients are 0, or so small that their squares vanish.
        nothing = e.b.fcmp_ordered("==", _largest(e, wanted), ir.Constant(e.lanes.scalar, 0.0))
        e.b.store(nothing, plain)
    usual = e.b.load(plain, typ=ir.IntType(1))
    usual = e.b.and_(usual, e.b.fcmp_ordered("==", e.b.fsub(loss, loss), none))
    with e.when(e.b.not_(usual)):
        e.b.store(e.integer(UNUSUAL), e.b.gep(control, [e.integer(FLAG)], source_etype=I64))
        e.b.ret_void()
        e.b.position_at_end(e.function.append_basic_block("unreached"))
    bound = e.b.load(e.pointer("bound"), typ=_DOUBLE)
    if wanted.limit is not None:
        limit = e.splat(_narrow(e, bound))
        _rewrite(e, wanted, lambda g: emit_program(e, _program(wanted.limit), {"g": g, "limit": limit}, {}))
    elif wanted.shrink is not None:
        with e.when(e.b.fcmp_ordered(">", norm, bound)):
            largest = _largest(e, wanted)
            factor = e.splat(_narrow(e, e.b.fdiv(bound, e.b.fdiv(norm, _widen(e, largest)))))
            unit = e.splat(largest)
            values = {"largest": unit, "factor": factor}
            _rewrite(e, wanted, lambda g: emit_program(e, _program(wanted.shrink), {"g": g, **values}, {}))
    e.b.ret_void()
    return module


def _squares(e: ArgumentFrame, array: Value, size: Value, sums: Value, lanes: int) -> Value:
    """Return the sum of squares of an array: `lanes` sums side by side, then added by halves."""
    whole = e.b.sub(size, e.b.srem(size, e.integer(lanes)))
    kind = ir.VectorType(e.lanes.scalar, 8)
    running = [e.variable(ir.Constant(_EIGHT, [0.0] * 8)) for _ in range(_GROUPS)]
    with e.loop(e.integer(0), whole, e.integer(lanes)) as i:
        for group, place in enumerate(running):
            values = e.b.load(e.at(array, e.plus(i, e.integer(8 * group))), typ=kind)
            values.align = e.lanes.dtype.itemsize
            wide = values if e.lanes.kind == "double" else e.b.fpext(values, _EIGHT)
            e.b.store(e.b.fadd(e.b.load(place, typ=_EIGHT), e.b.fmul(wide, wide)), place)
    for group, place in enumerate(running):
        target = e.b.gep(sums, [e.integer(8 * group)], source_etype=_DOUBLE)
        e.b.store(e.b.load(place, typ=_EIGHT), target).align = 8
    with e.loop(whole, size) as i:
        value = _widen(e, e.load_scalar(e.at(array, i)))
        place = e.b.gep(sums, [e.b.sub(i, whole)], source_etype=_DOUBLE)
        e.b.store(e.b.fadd(e.b.load(place, typ=_DOUBLE), e.b.fmul(value, value)), place)
    parts = []
    for group in range(_GROUPS):
        part = e.b.load(e.b.gep(sums, [e.integer(8 * group)], source_etype=_DOUBLE), typ=_EIGHT)
        part.align = 8
        parts.append(part)
    while len(parts) > 1:
        half = len(parts) // 2
        parts = [e.b.fadd(a, b) for a, b in zip(parts[:half], parts[half:], strict=True)]
    numbers = [e.b.extract_element(parts[0], ir.Constant(ir.IntType(32), k)) for k in range(8)]
    while len(numbers) > 1:
        half = len(numbers) // 2
        numbers = [e.b.fadd(a, b) for a, b in zip(numbers[:half], numbers[half:], strict=True)]
    return numbers[0]


def _largest(e: ArgumentFrame, wanted: NormKernel) -> Value:
    """Return the largest magnitude of all gradients."""
    found = e.variable(e.const(0))
    with e.loop(e.integer(0), e.number("tensors")) as tensor:
        row = _Table(e, wanted.columns, tensor)
        array, size = row.pointer(GRADIENT), row.number(SIZE)
        with e.loop(e.integer(0), size, e.integer(e.lanes.count)) as i:
            value = e.abs(e.load_masked(e.at(array, i), e.below(i, size)))
            seen = e.read(found, e.lanes.vector)
            e.write(e.select(e.compare(">", value, seen), value, seen), found)
    return e.fold(e.read(found, e.lanes.vector), "greater")


def _rewrite(e: ArgumentFrame, wanted: NormKernel, formula: Any) -> None:
    """Put every gradient through a formula of one result."""
    with e.loop(e.integer(0), e.number("tensors")) as tensor:
        row = _Table(e, wanted.columns, tensor)
        array, size = row.pointer(GRADIENT), row.number(SIZE)
        with e.loop(e.integer(0), size, e.integer(e.lanes.count)) as i:
            mask = e.below(i, size)
            (value,) = formula(e.load_masked(e.at(array, i), mask)).values()
            e.store_masked(value, e.at(array, i), mask)


def _emit_penalty(prefix: str, wanted: PenaltyKernel, kind: str) -> Any:
    module = new_module("bptt")
    e = ArgumentFrame(
        module, f"{prefix}penalty", lanes_of(kind, host()), wanted.SLOTS, public=True, contract=False
    )
    program, (p_name, strength_name) = _program(wanted.formula), wanted.formula.arguments
    strength = e.splat(e.load_scalar(e.pointer("strength")))
    with e.loop(e.integer(0), e.number("tensors")) as tensor:
        row = _Table(e, 3, tensor)
        p, g, size = row.pointer(PARAMETER), row.pointer(GRADIENT), row.number(SIZE)
        with e.loop(e.integer(0), size, e.integer(e.lanes.count)) as i:
            mask = e.below(i, size)
            values = {p_name: e.load_masked(e.at(p, i), mask), strength_name: strength}
            dp = emit_program(e, program, values, {})[wanted.formula.results[1]]
            e.store_masked(e.add(e.load_masked(e.at(g, i), mask), dp), e.at(g, i), mask)
    e.b.ret_void()
    return module


def _emit_update(prefix: str, wanted: UpdateKernel, kind: str) -> Any:
    module = new_module("bptt")
    e = ArgumentFrame(
        module, f"{prefix}update", lanes_of(kind, host()), wanted.SLOTS, public=True, contract=False
    )
    zero, control = e.integer(0), e.pointer("control")
    step = e.load_integer(control, e.integer(STEP))
    table_row = e.times(e.b.sub(step, e.number("first")), e.number("rows"))
    program, names = _program(wanted.formula), wanted.formula.arguments
    fine = e.variable(ir.Constant(ir.VectorType(ir.IntType(1), e.lanes.count), [1] * e.lanes.count))
    with e.loop(zero, e.number("tensors")) as tensor:
        row = _Table(e, wanted.columns, tensor)
        size = row.number(SIZE)
        held = [row.pointer(SLOT + k) for k in range(wanted.slots)]
        p, g, before = row.pointer(PARAMETER), row.pointer(GRADIENT), row.pointer(BEFORE)
        here = e.times(e.plus(table_row, row.number(CONSTANTS)), e.integer(wanted.constants))
        numbers = [
            e.splat(e.load_scalar(e.at(e.pointer("constants"), e.plus(here, e.integer(k)))))
            for k in range(wanted.constants)
        ]
        with e.loop(zero, size, e.integer(e.lanes.count)) as i:
            mask = e.below(i, size)
            values = [e.load_masked(e.at(array, i), mask) for array in (p, g, *held)]
            e.store_masked(values[0], e.at(before, i), mask)
            found = emit_program(e, program, dict(zip(names, [*values, *numbers], strict=True)), {})
            # What is infinite already may stay so: only the step from finite to not is an overflow.
            spoilt = _infinite_lanes(e, values)
            for name, target in zip(wanted.formula.results, (p, *held), strict=True):
                value = found[name]
                e.store_masked(value, e.at(target, i), mask)
                finite = e.compare("<", e.abs(value), e.const(float("inf")))
                flags = e.b.or_(finite, e.b.or_(e.b.not_(mask), spoilt))
                e.b.store(e.b.and_(e.b.load(fine, typ=flags.type), flags), fine)
    bits = e.b.bitcast(
        e.b.load(fine, typ=ir.VectorType(ir.IntType(1), e.lanes.count)), ir.IntType(e.lanes.count)
    )
    with e.when(e.b.icmp_unsigned("!=", bits, ir.Constant(bits.type, -1))):
        e.b.store(e.integer(OVERFLOW), e.b.gep(control, [e.integer(FLAG)], source_etype=I64))
    e.b.ret_void()
    return module


def _infinite_lanes(e: Emitter, values: list[Value]) -> Value:
    """Lanes where any of the values is not finite."""
    finite = None
    for value in values:
        found = e.compare("<", e.abs(value), e.const(float("inf")))
        finite = found if finite is None else e.b.and_(finite, found)
    return e.b.not_(finite)


def _widen(e: Emitter, number: Value) -> Value:
    return number if e.lanes.kind == "double" else e.b.fpext(number, _DOUBLE)


def _narrow(e: Emitter, number: Value) -> Value:
    return number if e.lanes.kind == "double" else e.b.fptrunc(number, e.lanes.scalar)


def _scalar(module: Any, name: str, arguments: int) -> Any:
    found = module.globals.get(name)
    return (
        ir.Function(module, ir.FunctionType(_DOUBLE, [_DOUBLE] * arguments), name) if found is None else found
    )
