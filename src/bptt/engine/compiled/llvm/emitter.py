"""A thin layer over llvmlite's builder: vectors of one dtype, array addresses, counted loops.

Kernels are emitted as vector instructions from the start. Nothing then depends on a compiler's vectoriser finding
the vectors again, and a cell's whole set compiles in a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

I64 = ir.IntType(64)
POINTER = ir.PointerType()
VOID = ir.VoidType()

# A value of the function under construction.
Value = Any


@dataclass(frozen=True)
class Lanes:
    """A working dtype on a machine: `count` numbers side by side."""

    kind: str  # "float" or "double", as LLVM calls them
    count: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype."""
        return np.dtype(np.float32 if self.kind == "float" else np.float64)

    @property
    def scalar(self) -> Any:
        """The LLVM type of one number."""
        return ir.FloatType() if self.kind == "float" else ir.DoubleType()

    @property
    def vector(self) -> Any:
        """The LLVM type of all lanes."""
        return ir.VectorType(self.scalar, self.count)

    @property
    def bits(self) -> Any:
        """Integers of the numbers' size, one a lane."""
        return ir.VectorType(ir.IntType(32 if self.kind == "float" else 64), self.count)

    @property
    def mantissa(self) -> int:
        """Bits of the fraction."""
        return 23 if self.kind == "float" else 52


class Emitter:
    """Emits into one function.

    Formula arithmetic may contract a product and a sum into one instruction, unless `contract` is False: then every
    operation rounds as NumPy's does. It is never reassociated, and NaN and infinity keep their meaning: a diverged
    run must be seen.
    """

    def __init__(self, function: Any, lanes: Lanes, *, contract: bool = True) -> None:
        self.function = function
        self.lanes = lanes
        self.flags = ("contract",) if contract else ()
        self.b: Any = ir.IRBuilder(function.append_basic_block("entry"))

    # ---------------------------------------------------------------- numbers in lanes

    def const(self, number: float) -> Value:
        """All lanes hold `number`, rounded to the working dtype."""
        rounded = float(self.lanes.dtype.type(number))
        return ir.Constant(self.lanes.vector, [rounded] * self.lanes.count)

    def const_bits(self, number: int) -> Value:
        """All lanes hold an integer."""
        return ir.Constant(self.lanes.bits, [number] * self.lanes.count)

    def add(self, a: Value, b: Value) -> Value:
        """A + b."""
        return self.b.fadd(a, b, flags=self.flags)

    def sub(self, a: Value, b: Value) -> Value:
        """A - b."""
        return self.b.fsub(a, b, flags=self.flags)

    def mul(self, a: Value, b: Value) -> Value:
        """A * b."""
        return self.b.fmul(a, b, flags=self.flags)

    def div(self, a: Value, b: Value) -> Value:
        """A / b."""
        return self.b.fdiv(a, b)

    def neg(self, a: Value) -> Value:
        """-a."""
        return self.b.fneg(a)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """A * b + c, in one rounding where the machine can."""
        return self._intrinsic("llvm.fmuladd", a, b, c)

    def sqrt(self, a: Value) -> Value:
        """Square root."""
        return self._intrinsic("llvm.sqrt", a)

    def abs(self, a: Value) -> Value:
        """|a|: the sign bit cleared."""
        return self._intrinsic("llvm.fabs", a)

    def with_sign(self, a: Value, sign: Value) -> Value:
        """`a` with the sign of `sign`."""
        return self._intrinsic("llvm.copysign", a, sign)

    def compare(self, how: str, a: Value, b: Value) -> Value:
        """Lanes where a `how` b holds; false where either is NaN."""
        return self.b.fcmp_ordered(how, a, b)

    def select(self, mask: Value, a: Value, b: Value) -> Value:
        """A where mask, else b."""
        return self.b.select(mask, a, b)

    def at_most(self, a: Value, limit: float) -> Value:
        """min(a, limit); NaN stays NaN."""
        c = self.const(limit)
        return self.select(self.compare(">", a, c), c, a)

    def at_least(self, a: Value, limit: float) -> Value:
        """max(a, limit); NaN stays NaN."""
        c = self.const(limit)
        return self.select(self.compare("<", a, c), c, a)

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """Horner's rule, lowest power first."""
        total = self.const(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            total = self.fma(total, x, self.const(c))
        return total

    def to_bits(self, a: Value) -> Value:
        """The lanes' bit patterns."""
        return self.b.bitcast(a, self.lanes.bits)

    def from_bits(self, a: Value) -> Value:
        """The inverse of `to_bits`."""
        return self.b.bitcast(a, self.lanes.vector)

    def splat(self, scalar: Value) -> Value:
        """One number in all lanes."""
        return self._spread(scalar, self.lanes.vector)

    def splat_flag(self, flag: Value) -> Value:
        """One truth value in all lanes."""
        return self._spread(flag, ir.VectorType(ir.IntType(1), self.lanes.count))

    def splat_bits(self, number: Value) -> Value:
        """A 64-bit integer in all lanes, cut to their size."""
        scalar = self.lanes.bits.element
        cut = number if scalar.width == I64.width else self.b.trunc(number, scalar)
        return self._spread(cut, self.lanes.bits)

    def below(self, first: Value, limit: Value, count: int | None = None) -> Value:
        """Lanes (all, or the first `count`) whose unit, first + lane, is below `limit`."""
        kind = ir.VectorType(I64, count or self.lanes.count)
        numbers = ir.Constant(kind, list(range(kind.count)))
        return self.b.icmp_signed("<", numbers, self._spread(self.b.sub(limit, first), kind))

    def equal_lane(self, first: Value, unit: Value) -> Value:
        """The lane whose unit, first + lane, is `unit`."""
        kind = ir.VectorType(I64, self.lanes.count)
        numbers = ir.Constant(kind, list(range(kind.count)))
        return self.b.icmp_signed("==", numbers, self._spread(self.b.sub(unit, first), kind))

    def fold(self, a: Value, how: str) -> Value:
        """The "sum" or the "greater" of all lanes, by halves: one number. What is NaN may be lost in "greater"."""
        half = self.lanes.count // 2
        while half:
            lanes = [(k + half) % self.lanes.count for k in range(self.lanes.count)]
            other = self._shuffle(a, a, lanes)
            a = self.b.fadd(a, other) if how == "sum" else self.select(self.compare(">", other, a), other, a)
            half //= 2
        return self.b.extract_element(a, _index(0))

    def transpose(self, rows: Sequence[Value]) -> list[Value]:
        """Exchange rows and lanes of squares, by exchanging squares of 1, 2, 4, ... lanes across their diagonals.

        Fewer rows than lanes (a power of two) are as many squares side by side as fit.
        """
        found = list(rows)
        count, half = self.lanes.count, 1
        while half < len(found):
            upper = [k if not k & half else count + k - half for k in range(count)]
            lower = [k + half if not k & half else count + k for k in range(count)]
            for i in range(len(found)):
                if not i & half:
                    a, b = found[i], found[i + half]
                    found[i], found[i + half] = self._shuffle(a, b, upper), self._shuffle(a, b, lower)
            half *= 2
        return found

    def join(self, parts: Sequence[Value]) -> Value:
        """Short vectors (a power of two of them) as one."""
        found = list(parts)
        while len(found) > 1:
            both = list(range(2 * found[0].type.count))
            found = [self._shuffle(a, b, both) for a, b in zip(found[::2], found[1::2], strict=True)]
        return found[0]

    def sum_lanes(self, several: Sequence[Value]) -> Value:
        """Return the sums over the lanes of up to as many vectors as there are lanes, one in each lane.

        Two vectors are folded into one that holds the halves' sums of both, then pairs of those.
        """
        found: list[Value] = list(several)
        count, group = self.lanes.count, self.lanes.count
        while group > 1:
            half = group // 2
            first = [lane for lane in range(2 * count) if lane % group < half]
            second = [lane + half for lane in first]
            pairs = [(a, found[i + 1] if i + 1 < len(found) else a) for i, a in list(enumerate(found))[::2]]
            found = [self.b.fadd(self._shuffle(a, b, first), self._shuffle(a, b, second)) for a, b in pairs]
            group = half
        return found[0]

    # ---------------------------------------------------------------- addresses and memory

    def integer(self, number: int) -> Value:
        """A 64-bit integer."""
        return ir.Constant(I64, number)

    def at(self, pointer: Value, offset: Value) -> Value:
        """The address `offset` numbers further on."""
        return self.b.gep(pointer, [offset], source_etype=self.lanes.scalar)

    def load(self, pointer: Value) -> Value:
        """Read all lanes; any alignment."""
        value = self.b.load(pointer, typ=self.lanes.vector)
        value.align = self.lanes.dtype.itemsize
        return value

    def load_scalar(self, pointer: Value) -> Value:
        """Read one number."""
        return self.b.load(pointer, typ=self.lanes.scalar)

    def prefetch(self, pointer: Value) -> None:
        """Ask for a line of memory, for the second cache; any address will do."""
        word = ir.IntType(32)
        kind = ir.FunctionType(VOID, [POINTER, word, word, word])
        self.b.call(self._declare("llvm.prefetch.p0", kind), [pointer, *map(word, (0, 2, 1))])

    def load_masked(self, pointer: Value, mask: Value) -> Value:
        """Read the lanes of `mask`, 0 elsewhere; the others' memory is not touched. As many lanes as it has."""
        count = mask.type.count
        vector = ir.VectorType(self.lanes.scalar, count)
        kind = ir.FunctionType(vector, [POINTER, ir.IntType(32), mask.type, vector])
        align = ir.Constant(ir.IntType(32), self.lanes.dtype.itemsize)
        load = self._declare(f"llvm.masked.load.v{count}{self._suffix}.p0", kind)
        return self.b.call(load, [pointer, align, mask, ir.Constant(vector, None)])

    def store_masked(self, value: Value, pointer: Value, mask: Value) -> None:
        """Write the lanes of `mask`; the others' memory is not touched."""
        name = f"llvm.masked.store.v{self.lanes.count}{self._suffix}.p0"
        flags = ir.VectorType(ir.IntType(1), self.lanes.count)
        kind = ir.FunctionType(VOID, [self.lanes.vector, POINTER, ir.IntType(32), flags])
        align = ir.Constant(ir.IntType(32), self.lanes.dtype.itemsize)
        self.b.call(self._declare(name, kind), [value, pointer, align, mask])

    def store(self, value: Value, pointer: Value) -> None:
        """Write all lanes, or one number."""
        self.b.store(value, pointer).align = self.lanes.dtype.itemsize

    def times(self, *factors: Value) -> Value:
        """Product of integers."""
        total = factors[0]
        for factor in factors[1:]:
            total = self.b.mul(total, factor)
        return total

    def plus(self, *terms: Value) -> Value:
        """Sum of integers."""
        total = terms[0]
        for term in terms[1:]:
            total = self.b.add(total, term)
        return total

    def odd(self, a: Value) -> Value:
        """Whether an integer is odd."""
        return self.b.trunc(a, ir.IntType(1))

    def least(self, a: Value, b: Value) -> Value:
        """The smaller of two integers."""
        return self.b.select(self.b.icmp_signed("<", a, b), a, b)

    def most(self, a: Value, b: Value) -> Value:
        """The larger of two integers."""
        return self.b.select(self.b.icmp_signed(">", a, b), a, b)

    # ---------------------------------------------------------------- control

    @contextmanager
    def loop(self, start: Value, stop: Value, step: Value | None = None) -> Iterator[Value]:
        """Count from start while below stop."""
        one = self.integer(1) if step is None else step
        with self.loop_carrying(start, stop, one, []) as (i, _, _):
            yield i

    @contextmanager
    def loop_carrying(
        self, start: Value, stop: Value, step: Value, values: Sequence[Value]
    ) -> Iterator[tuple[Value, list[Value], list[Value]]]:
        """Count from start while below stop, and carry values from one round to the next.

        Yields the count, the values as a round begins, which after the loop are the result, and a list that the
        round fills with them as it ends.
        """
        before = self.b.block
        head, body, end = (self.function.append_basic_block(name) for name in ("head", "body", "end"))
        self.b.branch(head)
        self.b.position_at_end(head)
        i = self.b.phi(I64)
        i.add_incoming(start, before)
        carried = [self.b.phi(value.type) for value in values]
        for place, value in zip(carried, values, strict=True):
            place.add_incoming(value, before)
        self.b.cbranch(self.b.icmp_signed("<", i, stop), body, end)
        self.b.position_at_end(body)
        following: list[Value] = []
        yield i, carried, following
        for place, value in zip(carried, following, strict=True):
            place.add_incoming(value, self.b.block)
        i.add_incoming(self.b.add(i, step), self.b.block)
        self.b.branch(head)
        self.b.position_at_end(end)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Run the body if `condition` holds."""
        body, end = (self.function.append_basic_block(name) for name in ("then", "after"))
        self.b.cbranch(condition, body, end)
        self.b.position_at_end(body)
        yield
        self.b.branch(end)
        self.b.position_at_end(end)

    def variable(self, start: Value) -> Value:
        """A place for a value that changes in a loop; LLVM turns it into a register."""
        with self.b.goto_entry_block():
            place = self.b.alloca(start.type)
        self.b.store(start, place)
        return place

    def room(self, kind: Any, count: int) -> Value:
        """Memory of the function's own for `count` values of a type."""
        with self.b.goto_entry_block():
            place = self.b.alloca(kind, count)
            return self.b.inttoptr(
                self.b.ptrtoint(place, I64), POINTER
            )  # llvmlite's allocas have typed pointers

    def read(self, place: Value, kind: Any) -> Value:
        """Read a variable of the given type."""
        return self.b.load(place, typ=kind)

    def write(self, value: Value, place: Value) -> None:
        """Set a variable."""
        self.b.store(value, place)

    # ---------------------------------------------------------------- inside

    @property
    def _suffix(self) -> str:
        return "f32" if self.lanes.kind == "float" else "f64"

    def _spread(self, scalar: Value, kind: Any) -> Value:
        """One value in every lane of a vector type."""
        nothing = ir.Constant(kind, ir.Undefined)
        one = self.b.insert_element(nothing, scalar, _index(0))
        return self.b.shuffle_vector(
            one, nothing, ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None)
        )

    def _shuffle(self, a: Value, b: Value, lanes: list[int]) -> Value:
        return self.b.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))

    def _intrinsic(self, name: str, *values: Value) -> Value:
        kind = ir.FunctionType(self.lanes.vector, [self.lanes.vector] * len(values))
        return self.b.call(self._declare(f"{name}.v{self.lanes.count}{self._suffix}", kind), values)

    def _declare(self, name: str, kind: Any) -> Any:
        found = self.function.module.globals.get(name)
        return ir.Function(self.function.module, kind, name) if found is None else found


def _index(number: int) -> Any:
    return ir.Constant(ir.IntType(32), number)
