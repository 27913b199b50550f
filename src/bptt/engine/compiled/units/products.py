"""Matrix products: one register tile, used three ways.

With units in the lanes all three products of a recurrent layer have one form: a number of A, spread over the lanes,
times a row of B, added to a row of C.

=====================  ==================  =====================  ================
product                A[m, k]             B[k, :]                C[m, :]
=====================  ==================  =====================  ================
forward                h (row, unit)       packed W (unit, gate)  pre-activations
backward               da (row, gate)      packed W^T             dh
weight gradient        h (unit, row)       da (row, gate)         dW (unit, gate)
=====================  ==================  =====================  ================

B is cut into panels as wide as the register tile, each contiguous ("packed"), so that a tile reads memory in order.
Sizes N count vectors, not numbers: rows are padded to whole vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from bptt.engine.compiled.llvm.emitter import I64, POINTER, VOID, Emitter, Lanes, Value
from bptt.engine.compiled.llvm.target import Target

# Rows summed in registers before a weight gradient's tile is written back: a panel of B then stays in the first
# cache, and the rounding error of a long sum grows with the blocks, not with the rows.
BLOCK = 128


class Products:
    """Emits the product functions into a module, each once."""

    def __init__(self, module: Any, lanes: Lanes, target: Target) -> None:
        self.module, self.lanes, self.target = module, lanes, target
        self._tiles = {
            (height, width): self._tile(height, width)
            for width in range(1, target.panel + 1)
            for height in target.heights
        }
        self._widths = {width: self._panel(width) for width in range(1, target.panel + 1)}
        self._aheads = {
            width: self._tile(target.heights[0], width, ahead=True) for width in range(1, target.panel + 1)
        }
        self._widths_ahead = {width: self._panel(width, ahead=True) for width in range(1, target.panel + 1)}
        self.gemm = self._gemm()
        self.pack = self._pack()
        self.pack_transposed = self._pack_transposed()
        self.gradient = self._gradient()

    def _function(self, name: str, arguments: str) -> tuple[Emitter, list[Value]]:
        """Open a function; capitals in `arguments` are pointers, the others 64-bit integers."""
        kinds = [POINTER if a.isupper() else I64 for a in arguments.split()]
        function = ir.Function(self.module, ir.FunctionType(VOID, kinds), name)
        function.linkage = "internal"
        for argument, text in zip(function.args, arguments.split(), strict=True):
            argument.name = text
        function.attributes.add("nounwind")
        return Emitter(function, self.lanes), list(function.args)

    def _tile(self, height: int, width: int, *, ahead: bool = False) -> Any:
        """C[m, n] = I[m, n] + sum_k A[m, k] B[k, n] for `height` rows and `width` vectors.

        `ahead`: it also asks for a line of NEXT with every k, at a stride `ldn`, for the second cache.

        I may be C itself (add to it), or one row for all m (`ldi` = 0: a bias, or zeros). A low tile sums every
        second or fourth k apart: a multiply-add takes four cycles, so eight sums at least must be under way.
        """
        apart = {1: 4, 2: 2}.get(height, 1)  # whatever the width: threads cut rows of units as they like
        e, (k_end, A, rsa, csa, B, ldb, C, ldc, I, ldi, *coming) = self._function(
            f"tile_{height}x{width}{'_ahead' if ahead else ''}",
            "k A rsa csa B ldb C ldc I ldi" + (" NEXT ldn" if ahead else ""),
        )
        e.function.attributes.add("noinline")
        vector, count = self.lanes.vector, self.lanes.count
        # From zero, and I last: the sum over a block of k then rounds as a short one, however large I has grown.
        sums = [[[e.variable(e.const(0)) for _ in range(width)] for _ in range(height)] for _ in range(apart)]

        def add_products(k: Value, sums: list[list[Value]]) -> None:
            row = e.at(B, e.times(k, ldb))
            right = [e.load(e.at(row, e.integer(n * count))) for n in range(width)]
            column = e.at(A, e.times(k, csa))
            if ahead:
                e.prefetch(e.at(coming[0], e.times(k, coming[1])))
            for m in range(height):
                left = e.splat(e.load_scalar(e.at(column, e.times(e.integer(m), rsa))))
                for n in range(width):
                    e.write(e.fma(left, right[n], e.read(sums[m][n], vector)), sums[m][n])

        whole = e.b.sub(k_end, e.b.srem(k_end, e.integer(apart)))
        with e.loop(e.integer(0), whole, e.integer(apart)) as k:
            for a in range(apart):
                add_products(e.plus(k, e.integer(a)), sums[a])
        if apart > 1:
            with e.loop(whole, k_end) as k:
                add_products(k, sums[0])
        for m in range(height):
            for n in range(width):
                parts = [e.read(sums[a][m][n], vector) for a in range(apart)]
                while len(parts) > 1:
                    parts = [e.add(parts[i], parts[i + 1]) for i in range(0, len(parts), 2)]
                start = e.load(e.at(I, e.plus(e.times(e.integer(m), ldi), e.integer(n * count))))
                place = e.at(C, e.plus(e.times(e.integer(m), ldc), e.integer(n * count)))
                e.store(e.b.fadd(parts[0], start), place)
        e.b.ret_void()
        return e.function

    def _panel(self, width: int, *, ahead: bool = False) -> Any:
        """All m rows of one panel, by tiles of falling height.

        `group` is the distance in A from one tile of full height to the next, a row: `rsa`, unless A is packed.
        `ahead`: the tiles of full height ask in turn for the vectors of a row of NEXT.
        """
        e, (m_end, k, A, rsa, group, csa, B, ldb, C, ldc, I, ldi, *coming) = self._function(
            f"panel_{width}{'_ahead' if ahead else ''}",
            "m k A rsa group csa B ldb C ldc I ldi" + (" NEXT ldn" if ahead else ""),
        )
        start: Value = e.integer(0)
        tall = e.integer(self.target.heights[0])
        for height in self.target.heights:
            whole = e.b.sub(m_end, e.b.srem(e.b.sub(m_end, start), e.integer(height)))
            with e.loop(start, whole, e.integer(height)) as m:
                beyond = e.b.srem(m, tall)
                left = e.at(A, e.plus(e.times(e.b.sub(m, beyond), group), e.times(beyond, rsa)))
                rows = (e.at(C, e.times(m, ldc)), e.at(I, e.times(m, ldi)))
                arguments = [k, left, rsa, csa, B, ldb, rows[0], ldc, rows[1], ldi]
                if ahead and height == self.target.heights[0]:
                    turn = e.b.srem(e.b.sdiv(m, tall), e.integer(self.target.panel))
                    line = e.at(coming[0], e.times(turn, e.integer(self.lanes.count)))
                    e.b.call(self._aheads[width], [*arguments, line, coming[1]])
                else:
                    e.b.call(self._tiles[height, width], arguments)
            start = whole
        e.b.ret_void()
        return e.function

    def _call_panel(self, e: Emitter, width: Value, arguments: list[Value], *, ahead: bool = False) -> None:
        """Call the panel function of a width known only now."""
        for number, panel in (self._widths_ahead if ahead else self._widths).items():
            with e.when(e.b.icmp_signed("==", width, e.integer(number))):
                e.b.call(panel, arguments)

    @contextmanager
    def _panels(
        self, e: Emitter, n_end: Value, falling: Value | None = None
    ) -> Iterator[tuple[Value, Value]]:
        """Visit the panels of `n_end` vectors: (first vector, width), widths as equal as can be.

        7 vectors are 3 + 2 + 2, not 3 + 3 + 1: a panel of one vector loads more than it multiplies.
        """
        one, panel = e.integer(1), e.integer(self.target.panel)
        count = e.b.sdiv(e.plus(n_end, e.b.sub(panel, one)), panel)
        some = e.b.select(e.b.icmp_signed(">", count, one), count, one)
        narrow, wide = e.b.sdiv(n_end, some), e.b.srem(n_end, some)
        with e.loop(e.integer(0), count) as turn:
            p = turn
            if falling is not None:
                p = e.b.select(falling, e.b.sub(e.b.sub(count, one), turn), turn)
            first = e.plus(e.times(p, narrow), e.least(p, wide))
            yield first, e.plus(narrow, e.b.select(e.b.icmp_signed("<", p, wide), one, e.integer(0)))

    def _gemm(self) -> Any:
        """C (m, n) = I + A (m, k) B (k, n), B packed; its panels from the last to the first if `t` is odd.

        Where B is larger than a cache, a step then begins with what the step before has left there.
        """
        e, (m, n_end, k, A, rsa, csa, B, C, ldc, I, ldi, t) = self._function(
            "gemm", "m n k A rsa csa B C ldc I ldi t"
        )
        with self._panels(e, n_end, e.odd(t)) as (n, width):
            numbers = e.times(n, e.integer(self.lanes.count))
            ldb = e.times(width, e.integer(self.lanes.count))
            arguments = [m, k, A, rsa, rsa, csa, e.at(B, e.times(numbers, k)), ldb, e.at(C, numbers), ldc,
                         e.at(I, numbers), ldi]  # fmt: skip
            self._call_panel(e, width, arguments)
        e.b.ret_void()
        return e.function

    def _pack(self) -> Any:
        """Pack S (k, blocks * units), row stride `lds`, into panels; each block is padded to `v` vectors."""
        e, (k_end, blocks, units, v, S, lds, C) = self._function("pack", "k blocks units v S lds C")
        count = e.integer(self.lanes.count)
        with self._panels(e, e.times(blocks, v)) as (n, width), e.loop(e.integer(0), width) as j:
            vector = e.plus(n, j)
            unit = e.times(e.b.srem(vector, v), count)
            mask = e.below(unit, units)
            source = e.plus(e.times(e.b.sdiv(vector, v), units), unit)
            with e.loop(e.integer(0), k_end) as k:
                value = e.load_masked(e.at(S, e.plus(e.times(k, lds), source)), mask)
                offset = e.plus(e.times(n, count, k_end), e.times(e.plus(e.times(k, width), j), count))
                e.store(value, e.at(C, offset))
        e.b.ret_void()
        return e.function

    def _pack_transposed(self) -> Any:
        """Pack the transpose of S (r, blocks * units) into panels over its r rows, padded to `v` vectors.

        The packed k runs over the blocks padded to `p` numbers each, but for the last; a padding row holds zeros.
        """
        e, (blocks, units, p, r_end, v, S, lds, C) = self._function(
            "pack_transposed", "blocks units p r v S lds C"
        )
        count = e.integer(self.lanes.count)
        k_end = e.plus(e.times(e.b.sub(blocks, e.integer(1)), p), units)
        with (
            self._panels(e, v) as (n, width),
            e.loop(e.integer(0), width) as j,
            e.loop(e.integer(0), blocks) as block,
            e.loop(e.integer(0), p, count) as unit,
        ):
            first = e.times(e.plus(n, j), count)
            mask = e.below(unit, units)
            square = []
            for i in range(self.lanes.count):
                r = e.plus(first, e.integer(i))
                inside = e.b.icmp_signed("<", r, r_end)
                row = e.times(e.b.select(inside, r, e.integer(0)), lds)
                source = e.at(S, e.plus(row, e.times(block, units), unit))
                square.append(e.load_masked(source, e.b.and_(mask, e.splat_flag(inside))))
            # The last block's padding lands where the next panel is written later, or in room left at the end.
            start = e.plus(e.times(n, count, k_end), e.times(j, count))
            k = e.plus(e.times(block, p), unit)
            for i, column in enumerate(e.transpose(square)):
                place = e.plus(start, e.times(e.plus(k, e.integer(i)), width, count))
                e.store(column, e.at(C, place))
        e.b.ret_void()
        return e.function

    def _pack_columns(self) -> Any:
        """Pack S (k, m), row stride `lds`, by groups of a tile's height: C[group, k, height]."""
        e, (k_end, m_end, S, lds, C) = self._function("pack_columns", "k m S lds C")
        height = self.target.heights[0]
        group, kind = e.integer(height), ir.VectorType(self.lanes.scalar, height)
        whole = e.b.sub(m_end, e.b.srem(m_end, group))
        with e.loop(e.integer(0), k_end) as k:
            row = e.at(S, e.times(k, lds))
            target = e.at(C, e.times(k, group))
            with e.loop(e.integer(0), whole, group) as m:
                several = e.b.load(e.at(row, m), typ=kind)
                several.align = self.lanes.dtype.itemsize
                e.store(several, e.at(target, e.times(m, e.integer(BLOCK))))
            with e.loop(whole, m_end) as m:
                one = e.load_scalar(e.at(row, m))
                e.store(one, e.at(target, e.plus(e.times(whole, e.integer(BLOCK)), e.b.sub(m, whole))))
        e.b.ret_void()
        return e.function

    def _gradient(self) -> Any:
        """C (m, n) = A^T (m, rows) B (rows, n): a weight gradient, in blocks of rows in a fixed order.

        A is (rows, m) with row stride `lda`; B has row stride `ldb` and is read where it lies: copying it takes longer
        than its far rows do. PACKED has room for `BLOCK` rows of A. C must start at zero.
        """
        columns = self._pack_columns()
        e, (m, n_end, rows, A, lda, B, ldb, C, ldc, PACKED) = self._function(
            "gradient", "m n rows A lda B ldb C ldc PACKED"
        )
        panel, count = e.integer(self.target.panel), e.integer(self.lanes.count)
        # A is read once a panel.
        several = e.b.icmp_signed(">", n_end, panel)
        with e.loop(e.integer(0), rows, e.integer(BLOCK)) as first:
            k = e.least(e.integer(BLOCK), e.b.sub(rows, first))
            left = e.at(A, e.times(first, lda))
            with e.when(several):
                e.b.call(columns, [k, m, left, lda, PACKED])
            height = e.integer(self.target.heights[0])
            left = e.b.select(several, PACKED, left)
            group = e.b.select(several, e.integer(BLOCK), e.integer(1))
            csa = e.b.select(several, height, lda)
            with self._panels(e, n_end) as (n, width):
                numbers = e.times(n, count)
                right = e.at(B, e.plus(e.times(first, ldb), numbers))
                target = e.at(C, numbers)
                # While this panel is multiplied the next comes nearer: a panel's short pieces of far rows are nothing
                # that the machine foresees.
                end = e.plus(n, width)
                last = e.b.icmp_signed("==", end, n_end)
                coming = e.at(B, e.plus(e.times(first, ldb), e.times(end, count)))
                coming = e.b.select(last, e.at(B, e.times(e.plus(first, e.integer(BLOCK)), ldb)), coming)
                arguments = [m, k, left, e.integer(1), group, csa, right, ldb, target, ldc, target, ldc,
                             coming, ldb]  # fmt: skip
                self._call_panel(e, width, arguments, ahead=True)
        e.b.ret_void()
        return e.function
