"""After the sweep back, sequences in the lanes: the gradients of weights and inputs."""

from __future__ import annotations

from typing import Any

from bptt.engine.compiled.llvm.emitter import Lanes, Value
from bptt.engine.compiled.llvm.target import Target
from bptt.engine.compiled.rows.backward import source_of
from bptt.engine.compiled.rows.forward import Tables, vectors
from bptt.engine.compiled.rows.frame import RowsFrame
from bptt.engine.compiled.rows.layout import RowsLayout
from bptt.engine.compiled.rows.products import RowsProducts, corner
from bptt.engine.compiled.units.frame import Grid
from bptt.engine.compiled.units.gradients import groups_within
from bptt.engine.compiled.units.layout import Layout, Run, Sizes

# What it takes to read a group's columns, in lines that it is multiplied with.
COLUMNS_EFFORT = 3


def group_efforts(layout: Layout, sizes: Sizes, target: Target) -> list[tuple[int, int]]:
    """Return, of each weight in turn, how many groups of columns it has and what one takes, in lines."""
    runs = [(run, sizes.D if run.kind == "x" else sizes.H) for stage in layout.runs for run in stage]
    wide = corner(target)[1]
    return [(-(-run.count * sizes.H // wide), rows + COLUMNS_EFFORT) for run, rows in runs]


def emit_gradients(
    module: Any, prefix: str, lanes: Lanes, layout: RowsLayout, products: RowsProducts
) -> None:
    """Emit ``weight_gradients`` (by effort: groups of columns), ``input_gradient`` (steps) and ``collect`` (all).

    The first two are for steps that `da` holds.
    """
    e = RowsFrame(module, f"{prefix}weight_gradients", lanes, layout)
    before = e.integer(0)
    for runs in layout.runs:
        for run in runs:
            before = _weight_gradient(e, products, run, before)
    e.b.ret_void()

    e = RowsFrame(module, f"{prefix}input_gradient", lanes, layout)
    _input_gradient(e, products)
    e.b.ret_void()

    e = RowsFrame(module, f"{prefix}collect", lanes, layout)
    _collect(e)
    e.b.ret_void()


def _weight_gradient(e: RowsFrame, products: RowsProducts, run: Run, before: Value) -> Value:
    """Work on those of a run's groups of columns that the call is for; return the effort of all up to here.

    Each number is a sum over all steps and rows in one order, whatever the range.
    """
    start, zero, H = e.number("first_step"), e.integer(0), e.number("H")

    def operand(t: Value) -> Grid:
        if run.kind == "x":
            return e.inputs(t, zero)
        return e.state(run.operand, t, zero) if run.kind == "previous" else e.value(run.operand, t, zero)

    left, right = operand(start), e.column(e.da(run.stage, start, zero), run.column)
    m = e.number("D") if run.kind == "x" else H
    n = e.times(e.integer(run.count), H)
    groups = e.b.sdiv(e.plus(n, e.integer(products.wide - 1)), e.integer(products.wide))
    effort = e.plus(m, e.integer(COLUMNS_EFFORT))
    first, last = groups_within(e, before, effort, groups)
    with e.when(e.b.icmp_signed("<", first, last)):
        arguments = [
            first, last, m, n, e.b.sub(e.number("end_step"), start), vectors(e, e.number("B")),
            left.pointer, e.times(m, left.stride), left.stride,
            right.pointer, e.times(e.lines(run.stage), right.stride), right.stride,
            e.pointer(f"dweight:{run.key}"), n, e.pointer("block"),
        ]  # fmt: skip
        e.b.call(products.gradient, arguments)
    return e.plus(before, e.times(groups, effort))


def _input_gradient(e: RowsFrame, products: RowsProducts) -> None:
    """Write dx (T, B, D) of the steps that the call is for, a tile of rows at a time."""
    runs = [run for stage in e.layout.runs for run in stage if run.kind == "x"]
    if not runs:
        return
    B, D, tile = e.number("B"), e.number("D"), e.number("tile")
    tables, room = Tables(e), e.pointer("dx_tile")
    with e.loop(e.number("first_line"), e.number("end_line")) as t, e.loop(e.integer(0), B, tile) as row:
        rows = e.least(tile, e.b.sub(B, row))
        table, count = tables.fill([source_of(e, run, t, row) for run in runs])
        e.b.call(
            products.multiply,
            [D, vectors(e, rows), table, count, room, tile, e.pointer("zeros"), e.integer(0)],
        )
        target = e.at(e.pointer("dx"), e.times(e.plus(e.times(t, B), row), D))
        ends = e.at(e.pointer("ends"), row)
        e.b.call(products.transpose_out, [rows, D, room, tile, target, D, ends, t])


def _collect(e: RowsFrame) -> None:
    """Write the parameters' gradients as the caller keeps them; sums of tiles, then of lanes, in order."""
    layout, H = e.layout, e.number("H")
    for runs in layout.runs:
        for run in runs:
            rows, width = e.number("D") if run.kind == "x" else H, e.times(e.integer(run.count), H)
            stride = e.times(e.integer(layout.plan.weights[run.weight][1]), H)
            source, target = e.pointer(f"dweight:{run.key}"), e.pointer(f"gradient_of:{run.weight}")
            start = e.times(e.integer(run.block), H)
            with (
                e.loop(e.integer(0), rows) as r,
                e.loop(e.integer(0), width, e.integer(e.lanes.count)) as unit,
            ):
                mask = e.below(unit, width)
                here = e.load_masked(e.at(source, e.plus(e.times(r, width), unit)), mask)
                e.store_masked(here, e.at(target, e.plus(e.times(r, stride), start, unit)), mask)
    with e.when(e.given("gradient_of:b_h")):
        for k, stage in enumerate(layout.plan.stages):
            for gate, column in enumerate(stage.bias_columns, start=stage.first_gate):
                target = e.at(e.pointer("gradient_of:b_h"), e.times(e.integer(gate), H))
                with e.loop(e.integer(0), H) as unit:
                    source = e.column_sum(k, column, e.integer(0), unit)
                    _sum_tiles(e, source, e.lines(k), e.at(target, unit))
    for name in layout.plan.vectors:
        with e.when(e.given(f"gradient_of:{name}")), e.loop(e.integer(0), H) as unit:
            source = e.vector_sum(name, e.integer(0), unit)
            _sum_tiles(e, source, H, e.at(e.pointer(f"gradient_of:{name}"), unit))


def _sum_tiles(e: RowsFrame, source: Value, lines: Value, target: Value) -> None:
    """Write the sum over tiles, `lines` lanes apart, and over lanes, as one number."""
    tiles = e.b.sdiv(e.plus(e.number("B"), e.number("tile"), e.integer(-1)), e.number("tile"))
    total = e.variable(e.load(source))
    with e.loop(e.integer(1), tiles) as tile:
        here = e.load(e.at(source, e.times(tile, lines, e.integer(e.lanes.count))))
        e.write(e.add(e.read(total, e.lanes.vector), here), total)
    e.store(e.fold(e.read(total, e.lanes.vector), "sum"), target)
