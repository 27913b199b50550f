"""The forward sweep: a tile of rows runs through all steps while the weights stay in the cache."""

from __future__ import annotations

from typing import Any

from bptt.engine.compiled.emitter import Lanes, Value
from bptt.engine.compiled.frame import Frame
from bptt.engine.compiled.layout import Layout, Run
from bptt.engine.compiled.products import Products
from bptt.engine.compiled.programs import emit_program, of_formula


def emit_forward(
    module: Any, prefix: str, lanes: Lanes, layout: Layout, products: Products, *, ragged: bool
) -> list[Any]:
    """Emit ``pack_forward(arguments)``, and ``forward_rows(arguments)`` for rows first_row..end_row.

    Return the stages' elementwise steps.
    """
    e = Frame(module, f"{prefix}pack_forward", lanes, layout, public=True)
    pack_vectors(e, products)
    pack_biases(e, products)
    _pack(e, products)
    e.b.ret_void()

    stages = [_emit_stage(module, lanes, layout, k, ragged) for k in range(len(layout.plan.stages))]
    e = Frame(module, f"{prefix}forward_rows", lanes, layout, public=True)
    with e.loop(e.number("first_row"), e.number("end_row"), e.number("tile")) as row:
        rows = e.least(e.number("tile"), e.b.sub(e.number("end_row"), row))
        with e.loop(e.integer(0), e.number("T")) as t:
            for k, stage in enumerate(stages):
                for run in layout.runs[k]:
                    _product(e, products, run, t, row, rows)
                e.b.call(stage, [e.arguments, t, row, rows])
    e.b.ret_void()
    return stages


def pack_vectors(e: Frame, products: Products) -> None:
    """Copy the per-unit parameters into padded rows; one that is absent (a bias) counts as zeros."""
    for vector in e.layout.plan.vectors:
        _padded(
            e, products, e.pointer(f"own:{vector}"), e.given(f"own:{vector}"), e.pointer(f"vector:{vector}")
        )


def _padded(e: Frame, products: Products, source: Value, given: Value, target: Value) -> None:
    with e.loop(e.integer(0), e.number("V")) as j:
        e.store(e.const(0), e.at(target, e.times(j, e.integer(e.lanes.count))))
    with e.when(given):
        arguments = [e.integer(1), e.integer(1), e.number("H"), e.number("V"), source, e.number("H"), target]
        e.b.call(products.pack, arguments)


def pack_biases(e: Frame, products: Products) -> None:
    """Copy the biases into padded rows; a column without one starts from zeros."""
    H, P = e.number("H"), e.number("P")
    for k, stage in enumerate(e.layout.plan.stages):
        gates = {column: stage.first_gate + g for g, column in enumerate(stage.bias_columns)}
        for column in range(len(stage.columns)):
            target = e.at(e.pointer(f"bias:{k}"), e.times(e.integer(column), P))
            source = e.at(e.pointer("b_h"), e.times(e.integer(gates.get(column, 0)), H))
            given = e.given("b_h") if column in gates else e.b.icmp_signed("<", e.integer(1), e.integer(0))
            _padded(e, products, source, given, target)


def _pack(e: Frame, products: Products) -> None:
    H, V = e.number("H"), e.number("V")
    for runs in e.layout.runs:
        for run in runs:
            rows = e.number("D") if run.kind == "x" else H
            stride = e.times(e.integer(e.layout.plan.weights[run.weight][1]), H)
            source = e.at(e.pointer(f"weight:{run.weight}"), e.times(e.integer(run.block), H))
            arguments = [rows, e.integer(run.count), H, V, source, stride, e.pointer(f"packed:{run.key}")]
            e.b.call(products.pack, arguments)


def _product(e: Frame, products: Products, run: Run, t: Value, row: Value, rows: Value) -> None:
    """Add operand @ weight to the run's columns; the first product of a column starts from the bias."""
    P, D = e.number("P"), e.number("D")
    if run.kind == "x":
        operand = e.at(e.pointer("x"), e.times(e.plus(e.times(t, e.number("B")), row), D))
        k, stride = D, D
    else:
        operand = e.state(run.operand, t, row) if run.kind == "previous" else e.value(run.operand, t, row)
        k, stride = e.number("H"), P
    width = e.width(run.stage)
    offset = e.times(e.integer(run.column), P)
    target = e.at(e.pointer(f"columns:{run.stage}"), offset)
    start = e.at(e.pointer(f"bias:{run.stage}"), offset) if run.first else target
    arguments = [
        rows, e.times(e.integer(run.count), e.number("V")), k, operand, stride, e.integer(1),
        e.pointer(f"packed:{run.key}"), target, width, start, e.integer(0) if run.first else width,
    ]  # fmt: skip
    e.b.call(products.gemm, arguments)


def _emit_stage(module: Any, lanes: Lanes, layout: Layout, k: int, ragged: bool) -> Any:
    """Emit a stage's elementwise step over a tile."""
    stage = layout.plan.stages[k]
    program = of_formula(stage.forward)
    e = Frame(module, f"forward_stage_{k}", lanes, layout, more=3)
    t, row, rows = e.more
    P, width = e.number("P"), e.width(k)
    columns = e.pointer(f"columns:{k}")
    previous = {s: e.state(s, t, row) for s in layout.plan.states}
    values = {s.key: e.value(s.key, t, row) for s in stage.inputs if s.kind == "value"}
    kept = {*layout.plan.states, *layout.plan.saved, *layout.passing}
    targets = {name: e.value(name, t, row) for name in stage.forward.results if name in kept}
    kept_columns = {c: e.saved(c, t, row) for c in stage.columns if c in layout.plan.saved}
    with e.loop(e.number("first_vector"), e.number("end_vector")) as j:
        unit = e.times(j, e.integer(lanes.count))
        fixed = {
            s.name: e.load(e.at(e.pointer(f"vector:{s.key}"), unit))
            for s in stage.inputs
            if s.kind == "vector"
        }
        with e.loop(e.integer(0), rows) as b:
            here = e.plus(e.times(b, P), unit)
            arguments = dict(fixed)
            for s in stage.inputs:
                if s.kind == "column":
                    offset = e.plus(
                        e.times(b, width), e.times(e.integer(stage.columns.index(s.key)), P), unit
                    )
                    arguments[s.name] = e.load(e.at(columns, offset))
                elif s.kind == "previous":
                    arguments[s.name] = e.load(e.at(previous[s.key], here))
                elif s.kind == "value":
                    arguments[s.name] = e.load(e.at(values[s.key], here))
                elif s.kind == "constant":
                    arguments[s.name] = e.const(layout.constants[s.key])
            found = emit_program(e, program, arguments, layout.functions)
            active = e.active(t, e.plus(row, b)) if ragged else None
            for name, target in targets.items():
                value = found[name]
                if active is not None and name in layout.plan.states:
                    # A finished row carries its last state on.
                    value = e.select(active, value, e.load(e.at(previous[name], here)))
                e.store(value, e.at(target, here))
            for name, target in kept_columns.items():
                e.store(arguments[name], e.at(target, here))
    e.b.ret_void()
    return e.function
