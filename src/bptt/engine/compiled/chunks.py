"""The sweep back and the weight gradients take turns, a chunk of steps at a time.

What the sweep writes, `da`, is then read again while it lies in the second cache, and each chunk writes over the one
before it: no memory beyond the cache is read or written for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bptt.engine.compiled.llvm.emitter import Lanes, Value
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.rows.products import BLOCK as VECTORS
from bptt.engine.compiled.units.frame import Frame
from bptt.engine.compiled.units.layout import Layout, Sizes
from bptt.engine.compiled.units.products import BLOCK

CHUNK_KERNELS = ("backward_turn", "backward_chunks")
# Of a chunk: the sweep, then what is formed from it.
TURNS = 2

# Bytes of `da` that a chunk holds at least, and of all steps' from which on chunks are worth it.
ROOM, WHOLE = 2**18, 2**19
# Bytes of weights (as many of their gradients) up to which they stay in the second cache beside a chunk: larger ones
# would be fetched anew at every turn.
WEIGHTS = 9 * 2**16


def choose_chunk(layout: Layout, sizes: Sizes, itemsize: int) -> int:
    """Return the steps of a chunk, from the sizes alone; T where one is all there is.

    A weight gradient is summed in blocks, and a block that is not full costs nearly what a full one does: so many steps
    that chunks need hardly more blocks than all steps in one piece.
    """
    T, one = sizes.T, replace(sizes, chunk=1)
    step = itemsize * sum(layout.count(f"da:{k}", one) for k in range(len(layout.plan.stages)))
    runs = [run for stage in layout.runs for run in stage]
    weights = itemsize * sum(layout.count(f"dweight:{run.key}", one) for run in runs)
    if weights > WEIGHTS or T * step < WHOLE:
        return T
    least, whole = max(1, -(-ROOM // step)), _blocks(layout, sizes, T)
    for n in range(least, min(least + BLOCK, T // 2 + 1)):
        found = T // n * _blocks(layout, sizes, n) + _blocks(layout, sizes, T % n)
        if 16 * found <= 17 * whole:
            return n
    return T


def _blocks(layout: Layout, sizes: Sizes, steps: int) -> int:
    """Blocks in which the products cut a sum over so many steps and all rows."""
    if layout.name == "units":
        return -(-steps * sizes.B // BLOCK)
    vectors = -(-sizes.B // sizes.lanes)
    if vectors <= VECTORS:
        return -(-steps // (VECTORS // vectors))
    return steps * -(-vectors // VECTORS)


def emit_chunks(module: Any, prefix: str, lanes: Lanes, layout: Layout) -> None:
    """Emit ``backward_turn`` (a block of turn `round`), and ``backward_chunks``, all turns one after the other."""
    e = _Turn(module, f"{prefix}backward_turn", lanes, layout, public=True)
    turn, chunk, T, B = (e.number(name) for name in ("round", "chunk", "T", "B"))
    chunks = e.b.sdiv(e.plus(T, chunk, e.integer(-1)), chunk)
    first = e.times(e.b.sub(chunks, e.plus(e.b.sdiv(turn, e.integer(TURNS)), e.integer(1))), chunk)
    end = e.least(e.plus(first, chunk), T)
    e.give("step", first, end)
    forming = e.odd(turn)

    def call(kernel: str) -> None:
        e.b.call(module.globals[f"{prefix}{kernel}"], [e.arguments])

    with e.when(e.b.not_(forming)):
        e.give("row", *e.share(B, e.number("tile")))
        call("backward_rows")
    with e.when(e.b.and_(forming, e.given(f"gradient_of:{next(iter(layout.plan.weights))}"))):
        e.give("effort", *e.share(e.number("efforts"), e.integer(1)))
        call("weight_gradients")
    with e.when(e.b.and_(forming, e.given("dx"))):
        if layout.name == "units":  # lines are rows of all steps, and those of a register tile stay together
            begin, until = e.share(e.times(e.b.sub(end, first), B), e.integer(host().heights[0]))
            before = e.times(first, B)
        else:
            begin, until = e.share(e.b.sub(end, first), e.integer(1))
            before = first
        e.give("line", e.plus(before, begin), e.plus(before, until))
        call("input_gradient")
    e.b.ret_void()

    e = _Turn(module, f"{prefix}backward_chunks", lanes, layout, public=True)
    chunks = e.b.sdiv(e.plus(e.number("T"), e.number("chunk"), e.integer(-1)), e.number("chunk"))
    with e.loop(e.integer(0), e.times(chunks, e.integer(TURNS))) as turn:
        e.put("round", turn)
        e.b.call(module.globals[f"{prefix}backward_turn"], [e.arguments])
    e.b.ret_void()


class _Turn(Frame):
    """A kernel that tells others through the argument array what to work on."""

    def put(self, name: str, value: Value) -> None:
        """Set an argument."""
        slot = self.integer(self.layout.slots[name])
        self.b.store(value, self.b.gep(self.arguments, [slot], source_etype=slot.type))

    def give(self, what: str, first: Value, end: Value) -> None:
        """Set a range."""
        self.put(f"first_{what}", first)
        self.put(f"end_{what}", end)

    def share(self, count: Value, piece: Value) -> tuple[Value, Value]:
        """Return the call's part of so many things, cut into whole pieces."""
        pieces = self.b.sdiv(self.plus(count, piece, self.integer(-1)), piece)
        block, blocks = self.number("first_block"), self.number("blocks")
        first = self.b.sdiv(self.times(block, pieces), blocks)
        end = self.b.sdiv(self.times(self.plus(block, self.integer(1)), pieces), blocks)
        return self.times(first, piece), self.least(self.times(end, piece), count)
