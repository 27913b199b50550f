"""One or few sequences: rows cannot be shared, so each thread has a block of the units and they meet at every step.

A block's weights are packed for themselves and stay in the second cache of the thread that packed them. A call works on
one block in one round; a round is what can be done without seeing what the other blocks did in it:

- forward, round ``t * stages + k``: the products of stage k at step t for the block's columns, then its elementwise
  step;
- backward, round 0: the elementwise step back of the last stage at the last step; each round after that begins with
  the products of the stage before, ``da @ W^T``, and goes on with the next elementwise step back.

Each number is summed by the same loop in the same order as by the kernels for rows, so the bits are the same too.
"""

from __future__ import annotations

from typing import Any

from bptt.engine.compiled.llvm.emitter import Lanes, Value
from bptt.engine.compiled.units.backward import Steps, clear
from bptt.engine.compiled.units.forward import pack_biases, pack_vectors
from bptt.engine.compiled.units.frame import Frame
from bptt.engine.compiled.units.layout import Layout, Run
from bptt.engine.compiled.units.products import Products

UNIT_KERNELS = (
    "pack_forward_units", "forward_units", "clear_backward", "pack_backward_units", "backward_units",
)  # fmt: skip


def emit_units(
    module: Any,
    prefix: str,
    lanes: Lanes,
    layout: Layout,
    products: Products,
    stages: list[Any],
    steps: Steps,
) -> None:
    """Emit the `UNIT_KERNELS`, each for a block first_block (and a round, but for the packing)."""
    e = _Block(module, f"{prefix}pack_forward_units", lanes, layout)
    with e.when(e.b.icmp_signed("==", e.number("first_block"), e.integer(0))):
        pack_vectors(e, products)
        pack_biases(e, products)
    for run in e.all_runs:
        e.pack(products, run)
    e.b.ret_void()

    e = _Block(module, f"{prefix}forward_units", lanes, layout)
    count, here = e.integer(len(stages)), e.number("round")
    t, turn = e.b.sdiv(here, count), e.b.srem(here, count)
    for k, stage in enumerate(stages):
        with e.when(e.b.icmp_signed("==", turn, e.integer(k))):
            for run in layout.runs[k]:
                e.product(products, run, t)
            e.b.call(stage, [e.arguments, t, e.integer(0), e.number("B")])
    e.b.ret_void()

    e = _Block(module, f"{prefix}clear_backward", lanes, layout)
    clear(e, products)
    e.b.ret_void()

    e = _Block(module, f"{prefix}pack_backward_units", lanes, layout)
    for run in e.all_runs:
        e.pack_transposed(products, run)
    e.b.ret_void()

    _emit_backward(_Block(module, f"{prefix}backward_units", lanes, layout), products, steps)


def _emit_backward(e: _Block, products: Products, steps: Steps) -> None:
    order = list(steps.stages)  # last to first
    count, here = e.integer(len(order)), e.number("round")
    row, rows = e.integer(0), e.number("B")
    last = e.b.sub(e.number("T"), e.integer(1))

    def elementwise(k: int, t: Value) -> None:
        if k == order[0]:
            e.b.call(steps.upstream, [e.arguments, t, row, rows])
        e.b.call(steps.stages[k], [e.arguments, t, row, rows])

    with e.when(e.b.icmp_signed("==", here, e.integer(0))):
        elementwise(order[0], last)
    before = e.b.sub(here, e.integer(1))
    with e.when(e.b.icmp_signed(">=", before, e.integer(0))):
        t, turn = e.b.sub(last, e.b.sdiv(before, count)), e.b.srem(before, count)
        for i, k in enumerate(order):
            with e.when(e.b.icmp_signed("==", turn, e.integer(i))):
                for run, starts in steps.pushes[k]:
                    e.push(products, run, t, starts)
                if k != order[-1]:
                    elementwise(order[i + 1], t)
                else:
                    with e.when(e.b.icmp_signed(">", t, e.integer(0))):
                        elementwise(order[0], e.b.sub(t, e.integer(1)))
    e.b.ret_void()


class _Block(Frame):
    """A kernel of one block: vectors `first` to `first + vectors` of each row of units."""

    def __init__(self, module: Any, name: str, lanes: Lanes, layout: Layout) -> None:
        super().__init__(module, name, lanes, layout, public=True)
        block, blocks, V = self.number("first_block"), self.number("blocks"), self.number("V")
        self.first = self.b.sdiv(self.times(block, V), blocks)
        end = self.b.sdiv(self.times(self.plus(block, self.integer(1)), V), blocks)
        self.vectors = self.b.sub(end, self.first)
        self.unit = self.times(self.first, self.integer(lanes.count))
        room = self.times(self.vectors, self.integer(lanes.count))
        self.units = self.least(room, self.b.sub(self.number("H"), self.unit))
        # The elementwise kernels read their range where they are called.
        for name, value in (("first_vector", self.first), ("end_vector", end)):
            place = self.b.gep(
                self.arguments, [self.integer(layout.slots[name])], source_etype=self.first.type
            )
            self.b.store(value, place)

    @property
    def all_runs(self) -> list[Run]:
        """Every product."""
        return [run for runs in self.layout.runs for run in runs]

    def rows_of(self, run: Run) -> Value:
        """Rows of a run's weight."""
        return self.number("D") if run.kind == "x" else self.number("H")

    def weight(self, run: Run) -> tuple[Value, Value]:
        """Address of a run's weights as the caller keeps them, and their row stride."""
        H = self.number("H")
        stride = self.times(self.integer(self.layout.plan.weights[run.weight][1]), H)
        return self.at(self.pointer(f"weight:{run.weight}"), self.times(self.integer(run.block), H)), stride

    def packed(self, run: Run, gate: Value) -> Value:
        """Where the block's part of a gate's packed weights lies."""
        before = self.plus(self.times(gate, self.number("P")), self.unit)
        return self.at(self.pointer(f"packed:{run.key}"), self.times(before, self.rows_of(run)))

    def pack(self, products: Products, run: Run) -> None:
        """Pack the block's columns of every gate of a run."""
        weight, stride = self.weight(run)
        for gate in range(run.count):
            source = self.at(weight, self.plus(self.times(self.integer(gate), self.number("H")), self.unit))
            arguments = [self.rows_of(run), self.integer(1), self.units, self.vectors, source, stride,
                         self.packed(run, self.integer(gate))]  # fmt: skip
            self.b.call(products.pack, arguments)

    def product(self, products: Products, run: Run, t: Value) -> None:
        """Add operand @ weight to the block's columns; the first product of a column starts from the bias."""
        P, zero = self.number("P"), self.integer(0)
        if run.kind == "x":
            operand = self.at(self.pointer("x"), self.times(t, self.number("x_t")))
            stride = self.number("x_b")
        else:
            previous = run.kind == "previous"
            operand = (self.state if previous else self.value)(run.operand, t, zero).pointer
            stride = P
        width = self.width(run.stage)
        for turn in range(run.count):
            # There and back, as in `Products.gemm`.
            falling = self.integer(run.count - 1 - turn)
            gate = self.b.select(self.odd(t), falling, self.integer(turn))
            offset = self.plus(self.times(self.plus(self.integer(run.column), gate), P), self.unit)
            target = self.at(self.pointer(f"columns:{run.stage}"), offset)
            start = self.at(self.pointer(f"bias:{run.stage}"), offset) if run.first else target
            arguments = [
                self.number("B"), self.vectors, self.rows_of(run), operand, stride, self.integer(1),
                self.packed(run, gate), target, width, start, zero if run.first else width, t,
            ]  # fmt: skip
            self.b.call(products.gemm, arguments)

    def back(self, run: Run) -> Value:
        """Where the block's part of a run's transposed weights lies: all columns of its units."""
        before = self.times(self.unit, self.integer(run.count), self.number("P"))
        return self.at(self.pointer(f"back:{run.key}"), before)

    def pack_transposed(self, products: Products, run: Run) -> None:
        """Pack the transpose of a run's weights, rows of the block; an input's, which is not cut, with block 0."""
        weight, stride = self.weight(run)
        H, P, count = self.number("H"), self.number("P"), self.integer(run.count)
        if run.kind == "x":
            with self.when(self.b.icmp_signed("==", self.number("first_block"), self.integer(0))):
                arguments = [count, H, P, self.number("D"), self.number("VX"), weight, stride,
                             self.pointer(f"back:{run.key}")]  # fmt: skip
                self.b.call(products.pack_transposed, arguments)
            return
        source = self.at(weight, self.times(self.unit, stride))
        arguments = [count, H, P, self.units, self.vectors, source, stride, self.back(run)]
        self.b.call(products.pack_transposed, arguments)

    def push(self, products: Products, run: Run, t: Value, starts: bool) -> None:
        """Add da @ W^T to the gradient of the block's part of the run's operand."""
        P, zero = self.number("P"), self.integer(0)
        if run.kind == "previous":
            whole = self.carried(run.operand, self.b.sub(t, self.integer(1)), zero).pointer
        elif run.operand in self.layout.plan.states:
            whole = self.carried(run.operand, t, zero).pointer
        else:
            whole = self.pointer(f"gradient:{run.operand}")
        target = self.at(whole, self.unit)
        source = self.column(self.da(run.stage, t, zero), run.column)
        k = self.plus(self.times(self.integer(run.count - 1), P), self.number("H"))
        start = self.at(self.pointer("zeros"), self.unit) if starts else target
        arguments = [
            self.number("B"), self.vectors, k, source.pointer, source.stride, self.integer(1), self.back(run),
            target, P, start, zero if starts else P, t,
        ]  # fmt: skip
        self.b.call(products.gemm, arguments)
