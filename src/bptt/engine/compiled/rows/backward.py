"""The sweep back with sequences in the lanes."""

from __future__ import annotations

from typing import Any

from bptt.engine.compiled.equations.stages import Flow, emit_backward_stage
from bptt.engine.compiled.llvm.emitter import Lanes, Value
from bptt.engine.compiled.rows.forward import Tables, fill_ends, pack_vectors, vectors
from bptt.engine.compiled.rows.frame import RowsFrame
from bptt.engine.compiled.rows.layout import RowsLayout
from bptt.engine.compiled.rows.products import RowsProducts
from bptt.engine.compiled.units.frame import Grid, Step
from bptt.engine.compiled.units.layout import Run


def emit_backward(
    module: Any, prefix: str, lanes: Lanes, layout: RowsLayout, products: RowsProducts, *, ragged: bool
) -> None:
    """Emit ``pack_backward(arguments)``, and ``backward_rows(arguments)`` for a range of rows and of steps."""
    e = RowsFrame(module, f"{prefix}pack_backward", lanes, layout)
    with e.loop(e.integer(0), e.number("cleared"), e.integer(lanes.count)) as i:
        e.store(e.const(0), e.at(e.pointer("zeros"), i))
    fill_ends(e, ragged=ragged)
    pack_vectors(e)
    for runs in layout.runs:
        for run in runs:
            _turn(e, products, run)
    e.b.ret_void()

    e = RowsFrame(module, f"{prefix}backward_rows", lanes, layout)
    tables, flow = Tables(e), Flow()
    tile = e.number("tile")
    last = e.b.sub(e.number("end_step"), e.integer(1))
    with e.loop(e.number("first_row"), e.number("end_row"), tile) as row:
        rows = e.least(tile, e.b.sub(e.number("end_row"), row))
        number = e.b.sdiv(row, tile)
        with e.loop(e.integer(0), e.b.sub(e.number("end_step"), e.number("first_step"))) as back:
            step = Step(e.b.sub(last, back), row, rows, number)
            with e.when(e.b.and_(e.given("dh"), e.b.icmp_signed(">=", step.t, e.number("dh_from")))):
                _take_upstream(e, products, step, ragged=ragged)
            for state in layout.plan.states:
                with e.when(e.given(f"dstate:{state}")):
                    _show(e, state, step)
            for k in reversed(range(len(layout.plan.stages))):
                emit_backward_stage(e, k, flow, step, ragged=ragged)
                _push(e, products, tables, k, flow, step)
    e.b.ret_void()


def back_weight(e: RowsFrame, run: Run) -> Grid:
    """W^T of a run's blocks: a line for each unit of its gates, as long as the operand's units, padded."""
    lanes = e.lanes.count
    width = e.times(e.number("VX" if run.kind == "x" else "V"), e.integer(lanes))
    return Grid(e.pointer(f"back:{run.key}"), width)


def _turn(e: RowsFrame, products: RowsProducts, run: Run) -> None:
    """Transpose a weight, so that a tile finds its numbers side by side."""
    H = e.number("H")
    stride = e.times(e.integer(e.layout.plan.weights[run.weight][1]), H)
    source = e.at(e.pointer(f"weight:{run.weight}"), e.times(e.integer(run.block), H))
    target = back_weight(e, run)
    rows, columns = e.number("D") if run.kind == "x" else H, e.times(e.integer(run.count), H)
    e.b.call(products.transpose_in, [rows, columns, source, stride, target.pointer, target.stride])


def _take_upstream(e: RowsFrame, products: RowsProducts, step: Step, *, ragged: bool) -> None:
    """Add dh_t, which lies unit beside unit, to what arrives from later steps."""
    place = e.b.sub(step.t, e.number("dh_from"))
    start = e.plus(e.times(place, e.number("dh_t")), e.times(step.row, e.number("dh_b")))
    lines = Grid(e.pointer("arriving"), e.number("tile"))
    arguments = [
        step.rows,
        e.number("H"),
        e.at(e.pointer("dh"), start),
        e.number("dh_b"),
        lines.pointer,
        lines.stride,
    ]
    e.b.call(products.transpose_in, arguments)
    target = e.carried("h", step.t, step.row)
    with e.each_unit() as unit, e.each_row(step) as b:
        arriving = e.load(e.cell(lines, unit, b))
        if ragged:  # past a row's end there may be anything
            arriving = e.select(e.active(step, b), arriving, e.const(0))
        place = e.cell(target, unit, b)
        e.store(e.add(e.load(place), arriving), place)


def _show(e: RowsFrame, state: str, step: Step) -> None:
    """Keep the gradient of a state after the step, for the caller."""
    H, S = e.number("H"), e.number("S")
    place = e.plus(e.times(e.plus(step.t, e.integer(1)), H, S), step.row)
    source, target = e.carried(state, step.t, step.row), Grid(e.at(e.pointer(f"dstate:{state}"), place), S)
    with e.each_unit() as unit, e.each_row(step) as b:
        e.store(e.load(e.cell(source, unit, b)), e.cell(target, unit, b))


def _push(e: RowsFrame, products: RowsProducts, tables: Tables, k: int, flow: Flow, step: Step) -> None:
    """Add W^T da to the gradients of the stage's operands, all runs of an operand in one sum."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in e.layout.runs[k]:
        if run.kind != "x":
            groups.setdefault((run.kind, run.operand), []).append(run)
    for (kind, operand), runs in groups.items():
        starts = flow.note_push(e.layout, runs[0])  # one sum, so the others are no further writers
        if kind == "previous":
            target = e.carried(operand, e.b.sub(step.t, e.integer(1)), step.row)
        elif operand in e.layout.plan.states:
            target = e.carried(operand, step.t, step.row)
        else:
            target = e.gradient(operand)
        table, count = tables.fill([source_of(e, run, step.t, step.row) for run in runs])
        arguments = [e.number("H"), vectors(e, step.rows), table, count, target.pointer, target.stride,
                     e.pointer("zeros"), e.integer(0 if starts else 1)]  # fmt: skip
        e.b.call(products.multiply, arguments)


def source_of(e: RowsFrame, run: Run, t: Value, row: Value) -> tuple[Value, Value, Grid, Value]:
    """Describe a run's part of its operand's gradient."""
    weight = back_weight(e, run)
    lines = e.column(e.da(run.stage, t, row), run.column)
    return weight.pointer, weight.stride, lines, e.times(e.integer(run.count), e.number("H"))
