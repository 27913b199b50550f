"""The forward sweep: a tile of rows runs through all steps while the weights stay in the cache."""

from __future__ import annotations

from typing import Any

from bptt.engine.compiled.equations.stages import emit_forward_stage
from bptt.engine.compiled.llvm.emitter import Lanes, Value
from bptt.engine.compiled.units.frame import Frame, Step
from bptt.engine.compiled.units.layout import Layout, Run
from bptt.engine.compiled.units.products import Products


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
    with e.loop(e.number("first_row"), e.number("end_row"), e.number("together")) as row:
        rows = e.least(e.number("together"), e.b.sub(e.number("end_row"), row))
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
    D = e.number("D")
    if run.kind == "x":
        here = e.plus(e.times(t, e.number("x_t")), e.times(row, e.number("x_b")))
        operand, k, stride = e.at(e.pointer("x"), here), D, e.number("x_b")
    else:
        source = e.state(run.operand, t, row) if run.kind == "previous" else e.value(run.operand, t, row)
        operand, k, stride = source.pointer, e.number("H"), source.stride
    width = e.width(run.stage)
    target = e.column(e.columns(run.stage), run.column).pointer
    bias = e.at(e.pointer(f"bias:{run.stage}"), e.times(e.integer(run.column), e.number("P")))
    start = bias if run.first else target
    arguments = [
        rows, e.times(e.integer(run.count), e.number("V")), k, operand, stride, e.integer(1),
        e.pointer(f"packed:{run.key}"), target, width, start, e.integer(0) if run.first else width, t,
    ]  # fmt: skip
    e.b.call(products.gemm, arguments)


def _emit_stage(module: Any, lanes: Lanes, layout: Layout, k: int, ragged: bool) -> Any:
    e = Frame(module, f"forward_stage_{k}", lanes, layout, more=3)
    t, row, rows = e.more
    emit_forward_stage(e, k, Step(t, row, rows, e.b.sdiv(row, e.number("tile"))), ragged=ragged)
    e.b.ret_void()
    return e.function
