"""The forward sweep with sequences in the lanes: a tile of rows runs through all steps."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from bptt.engine.compiled.equations.stages import emit_forward_stage
from bptt.engine.compiled.llvm.emitter import I64, Lanes, Value
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.rows.frame import RowsFrame
from bptt.engine.compiled.rows.fused import can_fuse, emit_fused_stage
from bptt.engine.compiled.rows.layout import RowsLayout, Segment
from bptt.engine.compiled.rows.products import SOURCE, RowsProducts
from bptt.engine.compiled.units.frame import Grid, Step


def emit_forward(
    module: Any, prefix: str, lanes: Lanes, layout: RowsLayout, products: RowsProducts, *, ragged: bool
) -> None:
    """Emit ``pack_forward(arguments)``, and ``forward_rows(arguments)`` for rows first_row..end_row.

    Where ``x`` is not given, ``inputs`` holds it already.
    """
    e = RowsFrame(module, f"{prefix}pack_forward", lanes, layout)
    fill_ends(e, ragged=ragged)
    pack_vectors(e)
    for k in range(len(layout.plan.stages)):
        _pack_bias(e, k)
    e.b.ret_void()

    fused = {
        k: _fused_stage(module, lanes, layout, k, ragged)
        for k, stage in enumerate(layout.plan.stages)
        if can_fuse(len(stage.columns), host())
    }
    e = RowsFrame(module, f"{prefix}forward_rows", lanes, layout)
    tables = Tables(e)
    with e.loop(e.number("first_row"), e.number("end_row"), e.number("together")) as row:
        rows = e.least(e.number("together"), e.b.sub(e.number("end_row"), row))
        tile = e.b.sdiv(row, e.number("tile"))
        with e.loop(e.integer(0), e.number("T")) as t:
            step = Step(t, row, rows, tile)
            with e.when(e.given("x")):
                _take_input(e, products, step)
            for k in range(len(layout.plan.stages)):
                small = e.b.icmp_signed("!=", e.number("small"), e.integer(0))
                if k in fused:
                    with e.when(small):
                        e.b.call(fused[k], [e.arguments, t, row, rows])
                with e.when(e.b.not_(small)) if k in fused else nullcontext():
                    for segment in layout.segments[k]:
                        _product(e, products, tables, k, segment, step)
                    emit_forward_stage(e, k, step, ragged=ragged)
            with e.when(e.b.and_(e.given("outputs"), e.b.icmp_signed(">=", t, e.number("outputs_from")))):
                _give_output(e, products, step)
    e.b.ret_void()


def _fused_stage(module: Any, lanes: Lanes, layout: RowsLayout, k: int, ragged: bool) -> Any:
    """Emit it as a function of its own: in the sweep's, constants of all stages would crowd its registers."""
    e = RowsFrame(module, f"fused_stage_{k}", lanes, layout, more=3)
    t, row, rows = e.more
    emit_fused_stage(e, k, Step(t, row, rows, e.b.sdiv(row, e.number("tile"))), ragged=ragged)
    e.b.ret_void()
    return e.function


class Tables:
    """What `RowsProducts.multiply` is told of a sum's products, in memory of the kernel's own."""

    def __init__(self, e: RowsFrame) -> None:
        self.e = e
        self._room: dict[int, Value] = {}

    def fill(self, sources: list[tuple[Value, Value, Grid, Value]]) -> tuple[Value, Value]:
        """Describe (numbers, stride, lines, how many) of each product; return the table and its length."""
        e, count = self.e, len(sources)
        if count not in self._room:
            self._room[count] = e.room(I64, count * len(SOURCE))
        table = self._room[count]
        for n, (numbers, stride, lines, k) in enumerate(sources):
            entries = (e.b.ptrtoint(numbers, I64), stride, e.b.ptrtoint(lines.pointer, I64), lines.stride, k)
            for i, entry in enumerate(entries):
                place = e.integer(n * len(SOURCE) + i)
                e.b.store(entry, e.b.gep(table, [place], source_etype=I64))
        return table, e.integer(count)


def fill_ends(e: RowsFrame, *, ragged: bool) -> None:
    """Write each row's length as an integer of the lanes' size; padding rows end before they start."""
    T, B = e.number("T"), e.number("B")
    scalar = e.lanes.bits.element
    with e.loop(e.integer(0), e.number("S")) as row:
        inside = e.b.icmp_signed("<", row, B)
        length = T
        if ragged:
            place = e.b.gep(e.pointer("lengths"), [e.b.select(inside, row, e.integer(0))], source_etype=I64)
            length = e.b.load(place, typ=I64)
        end = e.b.select(inside, length, e.integer(0))
        end = end if scalar.width == I64.width else e.b.trunc(end, scalar)
        e.b.store(end, e.at(e.pointer("ends"), row)).align = e.lanes.dtype.itemsize


def pack_vectors(e: RowsFrame) -> None:
    """Copy the per-unit parameters; one that is absent (a bias) counts as zeros."""
    for vector in e.layout.plan.vectors:
        _copy_or_clear(e, e.pointer(f"own:{vector}"), e.given(f"own:{vector}"), e.pointer(f"vector:{vector}"))


def _copy_or_clear(e: RowsFrame, source: Value, given: Value, target: Value) -> None:
    count = e.integer(e.lanes.count)
    with e.loop(e.integer(0), e.number("H"), count) as unit:
        mask = e.below(unit, e.number("H"))
        # Where nothing is given no lane is read.
        read = e.b.and_(mask, e.splat_flag(given))
        e.store_masked(e.load_masked(e.at(source, unit), read), e.at(target, unit), mask)


def _pack_bias(e: RowsFrame, k: int) -> None:
    stage, H = e.layout.plan.stages[k], e.number("H")
    gates = {column: stage.first_gate + g for g, column in enumerate(stage.bias_columns)}
    for column in range(len(stage.columns)):
        source = e.at(e.pointer("b_h"), e.times(e.integer(gates.get(column, 0)), H))
        none = e.b.icmp_signed("<", e.integer(1), e.integer(0))
        given = e.given("b_h") if column in gates else none
        _copy_or_clear(e, source, given, e.at(e.pointer(f"bias:{k}"), e.times(e.integer(column), H)))


def _take_input(e: RowsFrame, products: RowsProducts, step: Step) -> None:
    stride = e.number("x_b")
    source = e.at(e.pointer("x"), e.plus(e.times(step.t, e.number("x_t")), e.times(step.row, stride)))
    target = e.inputs(step.t, step.row)
    e.b.call(products.transpose_in, [step.rows, e.number("D"), source, stride, target.pointer, target.stride])


def _give_output(e: RowsFrame, products: RowsProducts, step: Step) -> None:
    H = e.number("H")
    source = e.value("h", step.t, step.row)
    place = e.times(e.b.sub(step.t, e.number("outputs_from")), e.number("B"))
    target = e.at(e.pointer("outputs"), e.times(e.plus(place, step.row), H))
    ends = e.at(e.pointer("ends"), step.row)
    arguments = [step.rows, H, source.pointer, source.stride, target, H, ends, step.t]
    e.b.call(products.transpose_out, arguments)


def _product(
    e: RowsFrame, products: RowsProducts, tables: Tables, k: int, segment: Segment, step: Step
) -> None:
    """Form a segment's columns: bias + the sum of its products."""
    H, sources = e.number("H"), []
    for run, block in segment.sources:
        lines, rows = e.operand(run, step)
        start = e.times(e.integer(run.block + block), H)
        stride = e.times(e.integer(e.layout.plan.weights[run.weight][1]), H)
        sources.append((e.at(e.pointer(f"weight:{run.weight}"), start), stride, lines, rows))
    table, count = tables.fill(sources)
    target = e.column(e.columns(k), segment.column)
    bias = e.at(e.pointer(f"bias:{k}"), e.times(e.integer(segment.column), H))
    lines_out = e.times(e.integer(segment.count), H)
    arguments = [
        lines_out,
        vectors(e, step.rows),
        table,
        count,
        target.pointer,
        target.stride,
        bias,
        e.integer(0),
    ]
    e.b.call(products.multiply, arguments)


def vectors(e: RowsFrame, rows: Value) -> Value:
    """Vectors that rows fill."""
    count = e.lanes.count
    return e.b.sdiv(e.plus(rows, e.integer(count - 1)), e.integer(count))
