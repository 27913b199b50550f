"""Matrix products where sequences are the lanes.

A weight is then a single number, spread over the lanes and read where the caller keeps it; what it multiplies is a
line of an array as it lies. Nothing is packed.

=====================  ======================  ===========================  =========================
product                a number                times a line of              added to a line of
=====================  ======================  ===========================  =========================
forward                W[k, j]                 h (unit k, rows)             pre-activations (j, rows)
backward               W^T[j, k]               da (gate j, rows)            dh (k, rows)
=====================  ======================  ===========================  =========================

The weight gradient, dW[i, j] = sum over steps and rows of h[i] da[j], has lines on both sides: its tile multiplies
lane by lane, and adds the lanes up at the end.

Sizes N count vectors of rows, not rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from bptt.engine.compiled.llvm.emitter import I64, POINTER, VOID, Emitter, Lanes, Value
from bptt.engine.compiled.llvm.target import Target

# Vectors summed in registers before a weight gradient's tile is written back: what a tile reads then stays in the
# first cache, and the rounding error of a long sum grows with the blocks, not with the rows.
BLOCK = 64

# Heights of the register tiles of three vectors: few, for they are for long products, and each is code to be compiled.
THREES = (8, 4)

# One product's part of a sum: address of the numbers, their stride from k to k + 1, address of the lines, their
# stride, and how many k there are.
SOURCE = ("A", "lda", "B", "ldb", "k")


def gradient_room(lines: int, lanes: int) -> int:
    """Return the numbers of scratch memory for the gradient of a weight with so many rows, on any machine."""
    # Groups of vectors are folded whole.
    return (lines * max(wide for _, wide in _CORNERS) + lanes) * lanes


_CORNERS = ((4, 6), (3, 3))


def corner(target: Target) -> tuple[int, int]:
    """Return height and width of a weight gradient's tile: its sums, a line's vectors and one more must fit."""
    return _CORNERS[0] if target.heights[0] * target.panel > 12 else _CORNERS[1]


class RowsProducts:
    """Emits the product functions into a module, each once."""

    def __init__(self, module: Any, lanes: Lanes, target: Target) -> None:
        self.module, self.lanes = module, lanes
        sums = target.heights[0] * target.panel  # that stay in registers
        # As high as registers allow: a number is loaded for every line, a vector only once a tile.
        self._tall = {width: min(sums // width, 12) for width in (2, 1)}
        sizes = [(height, width) for width, tall in self._tall.items() for height in range(1, tall + 1)]
        # Three vectors where that still is high: one alone takes more loads than a core makes beside its sums.
        self._threes = THREES if sums >= 3 * THREES[0] else ()
        sizes += [(height, 3) for height in self._threes]
        self._tiles = {size: self._tile(*size) for size in sizes}
        self.multiply = self._multiply()
        self._high, self.wide = corner(target)
        self._corners = {
            (height, width): self._corner(height, width)
            for height in range(1, self._high + 1)
            for width in range(1, self.wide + 1)
        }
        self._fold = self._emit_fold()
        self.gradient = self._gradient()
        self.transpose_in = self._transpose_in()
        self.transpose_out = self._transpose_out()

    def _function(self, name: str, arguments: str) -> tuple[Emitter, list[Value]]:
        """Open a function; capitals in `arguments` are pointers, the others 64-bit integers."""
        kinds = [POINTER if a.isupper() else I64 for a in arguments.split()]
        function = ir.Function(self.module, ir.FunctionType(VOID, kinds), name)
        function.linkage = "internal"
        for argument, text in zip(function.args, arguments.split(), strict=True):
            argument.name = text
        function.attributes.add("nounwind")
        function.attributes.add("noinline")
        return Emitter(function, self.lanes), list(function.args)

    # ---------------------------------------------------------------- numbers times lines

    def _tile(self, height: int, width: int) -> Any:
        """C[m, n] = I[m] or C[m, n], + the sum over the sources' k of A[k, m] B[k, n]; `width` vectors n."""
        e, (TABLE, count, first, shift, C, ldc, I, add) = self._function(
            f"rows_tile_{height}x{width}", "TABLE count first shift C ldc I add"
        )
        lanes, one, per_source = self.lanes.count, e.integer(1), e.integer(len(SOURCE))
        places = [
            e.at(C, e.plus(e.times(e.integer(m), ldc), e.integer(n * lanes)))
            for m in range(height)
            for n in range(width)
        ]
        numbers = [e.splat(e.load_scalar(e.at(I, e.integer(m)))) for m in range(height)]
        fresh, before = e.b.block, e.function.append_basic_block("counting")
        start = e.function.append_basic_block("start")
        e.b.cbranch(e.b.icmp_signed("!=", add, e.integer(0)), before, start)
        e.b.position_at_end(before)
        present = [e.load(place) for place in places]
        e.b.branch(start)
        e.b.position_at_end(start)
        sums = []
        for n, value in enumerate(present):
            either = e.b.phi(self.lanes.vector)
            either.add_incoming(value, before)
            either.add_incoming(numbers[n // width], fresh)
            sums.append(either)
        with e.loop_carrying(e.integer(0), e.times(count, per_source), per_source, sums) as (s, sums, after):
            A, lda, B, ldb, k_end = (
                e.b.load(e.b.gep(TABLE, [e.plus(s, e.integer(i))], source_etype=I64), typ=I64)
                for i in range(len(SOURCE))
            )
            left = e.at(e.b.inttoptr(A, POINTER), first)
            lines = e.at(e.b.inttoptr(B, POINTER), shift)
            with e.loop_carrying(e.integer(0), k_end, one, sums) as (k, inner, found):
                line = e.at(lines, e.times(k, ldb))
                right = [e.load(e.at(line, e.integer(n * lanes))) for n in range(width)]
                here = e.at(left, e.times(k, lda))
                for m in range(height):
                    number = e.splat(e.load_scalar(e.at(here, e.integer(m))))
                    found += [e.fma(number, right[n], inner[m * width + n]) for n in range(width)]
            after += inner
        for place, total in zip(places, sums, strict=True):
            e.store(total, place)
        e.b.ret_void()
        return e.function

    def _multiply_threes(self) -> Any:
        """All m lines of C, a multiple of the least height, and three vectors of rows."""
        e, (m_end, TABLE, count, C, ldc, I, add) = self._function("rows_threes", "m TABLE count C ldc I add")
        start: Value = e.integer(0)
        for height in self._threes:
            end = e.b.sub(m_end, e.b.srem(m_end, e.integer(height)))
            with e.loop(start, end, e.integer(height)) as m:
                place = e.at(C, e.times(m, ldc))
                e.b.call(self._tiles[height, 3], [TABLE, count, m, e.integer(0), place, ldc, e.at(I, m), add])
            start = end
        e.b.ret_void()
        return e.function

    def _multiply(self) -> Any:
        """All m lines of C and n vectors of rows, by tiles; `add` is 1 if C counts, 0 if I (numbers) starts it."""
        threes = self._multiply_threes() if self._threes else None
        e, (m_end, n_end, TABLE, count, C, ldc, I, add) = self._function(
            "rows_multiply", "m n TABLE count C ldc I add"
        )
        arguments = [TABLE, count, C, ldc, I, add]
        start: Value = e.integer(0)
        if threes is not None:
            # The odd one of several goes with two others. In a function of its own: a small layer has two at most.
            several = e.b.icmp_signed(">", n_end, e.integer(2))
            even = e.b.icmp_signed("==", e.b.srem(m_end, e.integer(THREES[-1])), e.integer(0))
            odd = e.b.and_(e.b.and_(several, even), e.odd(n_end))
            with e.when(odd):
                e.b.call(threes, [m_end, *arguments])
            start = e.b.select(odd, e.integer(3), e.integer(0))
        for width in (2, 1):
            end = e.b.sub(n_end, e.b.srem(e.b.sub(n_end, start), e.integer(width)))
            with e.loop(start, end, e.integer(width)) as n:
                self._lines_of_tiles(e, width, m_end, n, arguments)
            start = end
        e.b.ret_void()
        return e.function

    def _lines_of_tiles(self, e: Emitter, width: int, m_end: Value, n: Value, arguments: list[Value]) -> None:
        """All m lines of C and a tile's vectors of rows, from vector n on."""
        TABLE, count, C, ldc, I, add = arguments
        tall, shift = self._tall[width], e.times(n, e.integer(self.lanes.count))
        with self._parts(e, m_end, tall) as (m, height):
            place = e.at(C, e.plus(e.times(m, ldc), shift))
            tiles = {h: self._tiles[h, width] for h in range(1, tall + 1)}
            self._choose(e, height, tiles, [TABLE, count, m, shift, place, ldc, e.at(I, m), add])

    @contextmanager
    def _parts(
        self, e: Emitter, end: Value, largest: int, some_of: tuple[Value, Value] | None = None
    ) -> Iterator[tuple[Value, Value]]:
        """Visit parts of 0..end of at most `largest`, as equal as can be: (first, size); all, or a range of them."""
        one = e.integer(1)
        count = e.b.sdiv(e.plus(end, e.integer(largest - 1)), e.integer(largest))
        some = e.b.select(e.b.icmp_signed(">", count, one), count, one)
        small, more = e.b.sdiv(end, some), e.b.srem(end, some)
        with e.loop(*(some_of or (e.integer(0), count))) as p:
            first = e.plus(e.times(p, small), e.least(p, more))
            yield first, e.plus(small, e.b.select(e.b.icmp_signed("<", p, more), one, e.integer(0)))

    def _choose(self, e: Emitter, size: Value, functions: dict[int, Any], arguments: list[Value]) -> None:
        """Call the function of a size known only now."""
        end = e.function.append_basic_block("chosen")
        switch = e.b.switch(size, end)
        for number, function in functions.items():
            block = e.function.append_basic_block(f"size_{number}")
            switch.add_case(e.integer(number), block)
            e.b.position_at_end(block)
            e.b.call(function, arguments)
            e.b.branch(end)
        e.b.position_at_end(end)

    # ---------------------------------------------------------------- lines times lines

    def _corner(self, height: int, width: int) -> Any:
        """C[m, n] = the sum over `steps` and `n` vectors of A[m] B[n], still lane by lane; C is one vector a sum.

        Of NEXT, a line like those of B, all vectors are asked for meanwhile.
        """
        e, (steps, n_end, A, step_a, lda, B, step_b, ldb, C, NEXT) = self._function(
            f"rows_corner_{height}x{width}", "steps n A step_a lda B step_b ldb C NEXT"
        )
        lanes, one = e.integer(self.lanes.count), e.integer(1)
        sums = [e.const(0)] * (height * width)
        with e.loop_carrying(e.integer(0), e.times(n_end, lanes), lanes, sums) as (n, sums, after):
            with e.loop_carrying(e.integer(0), steps, one, sums) as (t, inner, found):
                a, here = e.at(A, e.plus(e.times(t, step_a), n)), e.plus(e.times(t, step_b), n)
                b = e.at(B, here)
                e.prefetch(e.at(NEXT, here))
                right = [e.load(e.at(b, e.times(e.integer(j), ldb))) for j in range(width)]
                for i in range(height):
                    left = e.load(e.at(a, e.times(e.integer(i), lda)))
                    found += [e.fma(left, right[j], inner[i * width + j]) for j in range(width)]
            after += inner
        for k, total in enumerate(sums):
            e.store(total, e.at(C, e.integer(k * self.lanes.count)))
        e.b.ret_void()
        return e.function

    def _emit_fold(self) -> Any:
        """C[m, n] += the sum over the lanes of vector m * width + n of S; the sums then lie at the start of S."""
        e, (S, height, width, C, ldc) = self._function("rows_fold", "S height width C ldc")
        lanes = self.lanes.count
        with e.loop(e.integer(0), e.times(height, width), e.integer(lanes)) as first:
            start = e.at(S, e.times(first, e.integer(lanes)))
            several = [e.load(e.at(start, e.integer(k * lanes))) for k in range(lanes)]
            e.store(e.sum_lanes(several), e.at(S, first))
        with e.loop(e.integer(0), height) as m, e.loop(e.integer(0), width, e.integer(lanes)) as n:
            mask, place = e.below(n, width), e.at(C, e.plus(e.times(m, ldc), n))
            found = e.load(e.at(S, e.plus(e.times(m, width), n)))
            e.store_masked(e.add(e.load_masked(place, mask), found), place, mask)
        e.b.ret_void()
        return e.function

    def _gradient(self) -> Any:
        """C (m, n) += the sums over all steps and rows of A[m] B[n], in blocks in a fixed order.

        Of the columns n those of the parts p to q, of at most `wide`. ROOM takes what a block makes of m lines and
        one part: `gradient_room` numbers.
        """
        e, (p, q, m_end, w_end, steps, n_end, A, step_a, lda, B, step_b, ldb, C, ldc, ROOM) = self._function(
            "rows_gradient", "p q m w steps n A step_a lda B step_b ldb C ldc ROOM"
        )
        lanes, block, one = e.integer(self.lanes.count), e.integer(BLOCK), e.integer(1)
        some = e.least(n_end, block)
        long = e.b.sdiv(block, e.b.select(e.b.icmp_signed(">", some, one), some, one))
        with (
            e.loop(e.integer(0), steps, long) as t,
            e.loop(e.integer(0), n_end, block) as n,
            self._parts(e, w_end, self.wide, (p, q)) as (j, width),
        ):
            here = e.least(long, e.b.sub(steps, t))
            vectors = e.least(block, e.b.sub(n_end, n))
            right = e.at(B, e.plus(e.times(t, step_b), e.times(n, lanes), e.times(j, ldb)))
            with self._parts(e, m_end, self._high) as (i, height):
                left = e.at(A, e.plus(e.times(t, step_a), e.times(n, lanes), e.times(i, lda)))
                target = e.at(ROOM, e.times(i, width, lanes))
                # The corners of a part ask in turn for the lines of the next.
                turn = e.b.srem(e.b.sdiv(i, e.integer(self._high)), e.integer(self.wide))
                coming = e.at(right, e.times(e.plus(turn, width), ldb))
                arguments = [here, vectors, left, step_a, lda, right, step_b, ldb, target, coming]
                code = e.plus(e.times(height, e.integer(self.wide + 1)), width)
                corners = {h * (self.wide + 1) + w: function for (h, w), function in self._corners.items()}
                self._choose(e, code, corners, arguments)
            e.b.call(self._fold, [ROOM, m_end, width, e.at(C, j), ldc])
        e.b.ret_void()
        return e.function

    # ---------------------------------------------------------------- to lines of rows and back

    def _transpose_in(self) -> Any:
        """C[c, r] = S[r, c]; lines of C are filled up with zeros to a whole vector."""
        e, (rows, columns, S, lds, C, ldc) = self._function("transpose_in", "rows columns S lds C ldc")
        lanes = self.lanes.count
        count = e.integer(lanes)
        whole = e.b.sub(rows, e.b.srem(rows, count))
        # Few columns share a vector with those of other rows: a square of all lanes would mostly move nothing.
        widths = [width for width in (4, 8) if width < lanes] + [lanes]
        with e.loop(e.integer(0), whole, count) as r, e.loop(e.integer(0), columns, count) as c:
            left = e.b.sub(columns, c)
            for narrower, width in zip([0, *widths], widths, strict=False):
                some = e.b.icmp_signed(">", left, e.integer(narrower))
                most = e.b.icmp_signed("<=", left, e.integer(width))
                with e.when(some if width == lanes else e.b.and_(some, most)):
                    mask = e.below(c, columns, width)
                    start = e.at(S, e.plus(e.times(r, lds), c))
                    places = [e.at(start, e.times(e.integer(i), lds)) for i in range(lanes)]
                    parts = [e.load_masked(place, mask) for place in places]
                    lines = e.transpose([e.join(parts[i::width]) for i in range(width)])
                    self._store_lines(e, lines, c, columns, e.at(C, r), ldc)
        with e.loop(whole, rows, count) as r, e.loop(e.integer(0), columns, count) as c:
            mask = e.below(c, columns)
            square = []
            for i in range(lanes):
                row = e.plus(r, e.integer(i))
                inside = e.b.icmp_signed("<", row, rows)
                source = e.at(S, e.plus(e.times(e.b.select(inside, row, e.integer(0)), lds), c))
                square.append(e.load_masked(source, e.b.and_(mask, e.splat_flag(inside))))
            self._store_lines(e, e.transpose(square), c, columns, e.at(C, r), ldc)
        e.b.ret_void()
        return e.function

    def _store_lines(
        self, e: Emitter, lines: list[Value], first: Value, end: Value, C: Value, ldc: Value
    ) -> None:
        """Write lines from `first` on, those below `end`."""
        for i, line in enumerate(lines):
            number = e.plus(first, e.integer(i))
            with e.when(e.b.icmp_signed("<", number, end)):
                e.store(line, e.at(C, e.times(number, ldc)))

    def _transpose_out(self) -> Any:
        """C[r, c] = S[c, r], or 0 in rows that end at step t or before."""
        e, (rows, columns, S, lds, C, ldc, ENDS, t) = self._function(
            "transpose_out", "rows columns S lds C ldc ENDS t"
        )
        count, now = e.integer(self.lanes.count), e.splat_bits(t)
        with e.loop(e.integer(0), rows, count) as r, e.loop(e.integer(0), columns, count) as c:
            runs = e.b.icmp_signed(">", e.to_bits(e.load(e.at(ENDS, r))), now)
            last = e.b.sub(columns, e.integer(1))
            square = []
            for i in range(self.lanes.count):
                line = e.least(e.plus(c, e.integer(i)), last)
                found = e.load(e.at(S, e.plus(e.times(line, lds), r)))
                square.append(e.select(runs, found, e.const(0)))
            mask = e.below(c, columns)
            for i, row in enumerate(e.transpose(square)):
                number = e.plus(r, e.integer(i))
                with e.when(e.b.icmp_signed("<", number, rows)):
                    e.store_masked(row, e.at(C, e.plus(e.times(number, ldc), c)), mask)
        e.b.ret_void()
        return e.function
