"""After the sweep back: the gradients of weights and inputs as blocked products over all steps, without padding."""

from __future__ import annotations

from typing import Any

from bptt.engine.compiled.llvm.emitter import Lanes, Value
from bptt.engine.compiled.llvm.target import Target
from bptt.engine.compiled.units.frame import Frame
from bptt.engine.compiled.units.layout import Layout, Run, Sizes
from bptt.engine.compiled.units.products import Products


def group_efforts(layout: Layout, sizes: Sizes, target: Target) -> list[tuple[int, int]]:
    """Return, of each weight in turn, how many groups of rows it has and what one takes: its rows times its blocks."""
    runs = [(run, sizes.D if run.kind == "x" else sizes.H) for stage in layout.runs for run in stage]
    return [(-(-rows // target.heights[0]), run.count * min(rows, target.heights[0])) for run, rows in runs]


def emit_gradients(module: Any, prefix: str, lanes: Lanes, layout: Layout, products: Products) -> None:
    """Emit ``weight_gradients`` (by effort: groups of rows), ``input_gradient`` (lines) and ``collect`` (all).

    The first two are for a range of steps, which `da` holds.
    """
    e = Frame(module, f"{prefix}weight_gradients", lanes, layout, public=True)
    before = e.integer(0)
    for runs in layout.runs:
        for run in runs:
            before = _weight_gradient(e, products, run, before)
    e.b.ret_void()

    e = Frame(module, f"{prefix}input_gradient", lanes, layout, public=True)
    _input_gradient(e, products)
    e.b.ret_void()

    e = Frame(module, f"{prefix}collect", lanes, layout, public=True)
    _collect(e)
    e.b.ret_void()


def _weight_gradient(e: Frame, products: Products, run: Run, before: Value) -> Value:
    """Work on those of a run's groups of rows that the call is for; return the effort of all up to here.

    Each number is a sum over all steps and rows in one order, whatever the range, so the ranges may be cut at will.
    """
    t, zero, P, D = e.number("first_step"), e.integer(0), e.number("P"), e.number("D")
    if run.kind == "x":
        operand, m, stride = e.at(e.pointer("x"), e.times(t, e.number("B"), D)), D, D
    else:
        grid = e.state(run.operand, t, zero) if run.kind == "previous" else e.value(run.operand, t, zero)
        operand, m, stride = grid.pointer, e.number("H"), grid.stride
    source = e.column(e.da(run.stage, t, zero), run.column)
    width = e.times(e.integer(run.count), P)
    height = e.integer(products.target.heights[0])
    groups = e.b.sdiv(e.plus(m, height, e.integer(-1)), height)
    effort = e.times(e.integer(run.count), e.least(m, height))
    first, last = (e.times(group, height) for group in groups_within(e, before, effort, groups))
    last = e.least(last, m)
    with e.when(e.b.icmp_signed("<", first, last)):
        target = e.at(e.pointer(f"dweight:{run.key}"), e.times(first, width))
        arguments = [
            e.b.sub(last, first), e.times(e.integer(run.count), e.number("V")),
            e.times(e.b.sub(e.number("end_step"), t), e.number("B")), e.at(operand, first), stride,
            source.pointer, source.stride, target, width, e.pointer("block"),
        ]  # fmt: skip
        e.b.call(products.gradient, arguments)
    return e.plus(before, e.times(groups, effort))


def groups_within(e: Frame, before: Value, effort: Value, groups: Value) -> tuple[Value, Value]:
    """Return the first and the end of those groups, of equal effort each, that begin in the call's range.

    `before` is the effort of what comes before them.
    """

    def group_at(place: Value) -> Value:
        beyond = e.most(e.b.sub(place, before), e.integer(0))
        return e.least(e.b.sdiv(e.plus(beyond, effort, e.integer(-1)), effort), groups)

    return group_at(e.number("first_effort")), group_at(e.number("end_effort"))


def _input_gradient(e: Frame, products: Products) -> None:
    P, PX, line, t = e.number("P"), e.number("PX"), e.number("first_line"), e.number("first_step")
    rows = e.b.sub(e.number("end_line"), line)
    target = e.at(e.pointer("dx"), e.times(line, PX))
    row = e.b.sub(line, e.times(t, e.number("B")))
    first = True
    for runs in e.layout.runs:
        for run in runs:
            if run.kind != "x":
                continue
            source = e.column(e.da(run.stage, t, row), run.column)
            k = e.plus(e.times(e.integer(run.count - 1), P), e.number("H"))
            start = e.pointer("zeros") if first else target
            arguments = [
                rows, e.number("VX"), k, source.pointer, source.stride, e.integer(1), e.pointer(f"back:{run.key}"),
                target, PX, start, e.integer(0) if first else PX, e.integer(0),
            ]  # fmt: skip
            e.b.call(products.gemm, arguments)
            first = False


def _collect(e: Frame) -> None:
    """Write the parameters' gradients as the caller keeps them: no padding, the tiles' sums added in order."""
    layout, H, P = e.layout, e.number("H"), e.number("P")
    for runs in layout.runs:
        for run in runs:
            rows = e.number("D") if run.kind == "x" else H
            blocks = e.integer(layout.plan.weights[run.weight][1])
            source, target = e.pointer(f"dweight:{run.key}"), e.pointer(f"gradient_of:{run.weight}")
            with e.loop(e.integer(0), rows) as r, e.loop(e.integer(0), e.integer(run.count)) as block:
                here = e.at(source, e.times(e.plus(e.times(r, e.integer(run.count)), block), P))
                column = e.plus(e.times(r, blocks), e.integer(run.block), block)
                _sum_rows(e, here, e.integer(1), P, e.at(target, e.times(column, H)))
    tiles = e.b.sdiv(e.plus(e.number("B"), e.number("tile"), e.integer(-1)), e.number("tile"))
    with e.when(e.given("gradient_of:b_h")):
        for k, stage in enumerate(layout.plan.stages):
            for gate, column in enumerate(stage.bias_columns, start=stage.first_gate):
                source = e.at(e.pointer(f"dbias:{k}"), e.times(e.integer(column), P))
                target = e.at(e.pointer("gradient_of:b_h"), e.times(e.integer(gate), H))
                _sum_rows(e, source, tiles, e.width(k), target)
    for name in layout.plan.vectors:
        with e.when(e.given(f"gradient_of:{name}")):
            _sum_rows(e, e.pointer(f"dvector:{name}"), tiles, P, e.pointer(f"gradient_of:{name}"))


def _sum_rows(e: Frame, source: Value, rows: Value, stride: Value, target: Value) -> None:
    """Write the sum of padded rows as one row of H numbers."""
    with e.loop(e.integer(0), e.number("V")) as j:
        unit = e.times(j, e.integer(e.lanes.count))
        total = e.variable(e.load(e.at(source, unit)))
        with e.loop(e.integer(1), rows) as r:
            row = e.load(e.at(source, e.plus(e.times(r, stride), unit)))
            e.write(e.add(e.read(total, e.lanes.vector), row), total)
        e.store_masked(e.read(total, e.lanes.vector), e.at(target, unit), e.below(unit, e.number("H")))
