"""Products of one row: a single stream has no second row to share a loaded weight with.

A register tile of one row would wait for its few sums, each a chain of additions. Here a panel's rows of weights are
added into several sets of sums in turn. The weights are packed as for the tiles.
"""

from __future__ import annotations

from typing import Any

from bptt.engine.compiled.llvm.emitter import Emitter, Lanes, Value
from bptt.engine.compiled.llvm.target import Target
from bptt.engine.compiled.units.products import Products

# Sets of sums: a multiply-add takes four cycles, two start in each, and a panel has two or three vectors.
SETS = 4


class StreamProducts(Products):
    """The register tiles, and `gemv` beside `gemm`."""

    def __init__(self, module: Any, lanes: Lanes, target: Target) -> None:
        super().__init__(module, lanes, target)
        self._rows = {width: self._row(width) for width in range(1, target.panel + 1)}
        self.gemv = self._gemv()

    def _row(self, width: int) -> Any:
        """C[n] = I[n] + sum_k A[k] B[k, n] for `width` vectors of one panel."""
        e, (k_end, A, B, C, I) = self._function(f"row_{width}", "k A B C I")
        vector, count = self.lanes.vector, self.lanes.count
        sums = [[e.variable(e.load(e.at(I, e.integer(n * count)))) for n in range(width)]]
        sums += [[e.variable(e.const(0)) for _ in range(width)] for _ in range(SETS - 1)]

        def add(k: Value, chosen: list[Value]) -> None:
            left = e.splat(e.load_scalar(e.at(A, k)))
            row = e.at(B, e.times(k, e.integer(width * count)))
            for n in range(width):
                right = e.load(e.at(row, e.integer(n * count)))
                e.write(e.fma(left, right, e.read(chosen[n], vector)), chosen[n])

        whole = e.b.sub(k_end, e.b.srem(k_end, e.integer(SETS)))
        with e.loop(e.integer(0), whole, e.integer(SETS)) as k:
            for i in range(SETS):
                add(e.plus(k, e.integer(i)), sums[i])
        with e.loop(whole, k_end) as k:
            add(k, sums[0])
        for n in range(width):
            parts = [e.read(each[n], vector) for each in sums]
            while len(parts) > 1:
                parts = [e.b.fadd(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
            e.store(parts[0], e.at(C, e.integer(n * count)))
        e.b.ret_void()
        return e.function

    def _gemv(self) -> Any:
        """C (n) = I (n) + A (k) B (k, n), B packed; n counts vectors."""
        e, (n_end, k, A, B, C, I) = self._function("gemv", "n k A B C I")
        with self._panels(e, n_end) as (n, width):
            numbers = e.times(n, e.integer(self.lanes.count))
            self._call_row(e, width, [k, A, e.at(B, e.times(numbers, k)), e.at(C, numbers), e.at(I, numbers)])
        e.b.ret_void()
        return e.function

    def _call_row(self, e: Emitter, width: Value, arguments: list[Value]) -> None:
        for number, row in self._rows.items():
            with e.when(e.b.icmp_signed("==", width, e.integer(number))):
                e.b.call(row, arguments)
