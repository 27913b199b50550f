"""The sweep back through time: the gradients of all pre-activations. `gradients` makes weights' out of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bptt.engine.compiled.equations.stages import Flow, emit_backward_stage
from bptt.engine.compiled.llvm.emitter import Lanes, Value
from bptt.engine.compiled.units.forward import pack_vectors
from bptt.engine.compiled.units.frame import Frame, Step
from bptt.engine.compiled.units.layout import Layout, Run
from bptt.engine.compiled.units.products import Products


@dataclass(frozen=True)
class Steps:
    """The parts of a step back: functions, and a stage's products with whether each is the first to write."""

    upstream: Any
    stages: dict[int, Any]
    pushes: dict[int, list[tuple[Run, bool]]]


def emit_backward(
    module: Any, prefix: str, lanes: Lanes, layout: Layout, products: Products, *, ragged: bool
) -> Steps:
    """Emit ``pack_backward(arguments)``, and ``backward_rows(arguments)`` for a range of rows and of steps.

    A sweep may stop at any step: what it carries on is in memory.
    """
    flow = Flow()
    upstream = _emit_upstream(module, lanes, layout, ragged)
    order = list(reversed(range(len(layout.plan.stages))))
    stages = {}
    pushes: dict[int, list[tuple[Run, bool]]] = {}
    for k in order:
        stages[k] = _emit_stage(module, lanes, layout, k, flow, ragged)
        pushes[k] = [(run, flow.note_push(layout, run)) for run in layout.runs[k] if run.kind != "x"]

    e = Frame(module, f"{prefix}pack_backward", lanes, layout, public=True)
    clear(e, products)
    _pack(e, products)
    e.b.ret_void()

    e = Frame(module, f"{prefix}backward_rows", lanes, layout, public=True)
    together = e.number("together")
    last = e.b.sub(e.number("end_step"), e.integer(1))
    with e.loop(e.number("first_row"), e.number("end_row"), together) as row:
        rows = e.least(together, e.b.sub(e.number("end_row"), row))
        with e.loop(e.integer(0), e.b.sub(e.number("end_step"), e.number("first_step"))) as back:
            t = e.b.sub(last, back)
            e.b.call(upstream, [e.arguments, t, row, rows])
            for k in order:
                e.b.call(stages[k], [e.arguments, t, row, rows])
                for run, starts in pushes[k]:
                    _push(e, products, run, t, row, rows, starts)
    e.b.ret_void()
    return Steps(upstream, stages, pushes)


def clear(e: Frame, products: Products) -> None:
    """Set to zero what must start so, and copy the per-unit parameters."""
    with e.loop(e.integer(0), e.number("cleared"), e.integer(e.lanes.count)) as i:
        e.store(e.const(0), e.at(e.pointer("zeros"), i))
    pack_vectors(e, products)


def _pack(e: Frame, products: Products) -> None:
    H, P = e.number("H"), e.number("P")
    for runs in e.layout.runs:
        for run in runs:
            rows, vectors = (e.number("D"), e.number("VX")) if run.kind == "x" else (H, e.number("V"))
            stride = e.times(e.integer(e.layout.plan.weights[run.weight][1]), H)
            source = e.at(e.pointer(f"weight:{run.weight}"), e.times(e.integer(run.block), H))
            arguments = [
                e.integer(run.count),
                H,
                P,
                rows,
                vectors,
                source,
                stride,
                e.pointer(f"back:{run.key}"),
            ]
            e.b.call(products.pack_transposed, arguments)


def _emit_upstream(module: Any, lanes: Lanes, layout: Layout, ragged: bool) -> Any:
    """Emit: add dh_t to what arrives from later steps, and keep the sum where the caller asks for it."""
    e = Frame(module, "upstream", lanes, layout, more=3)
    t, row, rows = e.more
    step = Step(t, row, rows, e.integer(0))
    P, B = e.number("P"), e.number("B")
    with e.when(e.given("dh")):
        start = e.plus(e.times(t, e.number("dh_t")), e.times(row, e.number("dh_b")))
        source, target = e.at(e.pointer("dh"), start), e.carried("h", t, row).pointer
        with e.loop(e.number("first_vector"), e.number("end_vector")) as j:
            unit = e.times(j, e.integer(lanes.count))
            mask = e.below(unit, e.number("H"))
            with e.loop(e.integer(0), rows) as b:
                # Past a row's end dh is not read: there may be anything.
                lanes_read = e.b.and_(mask, e.active(step, b)) if ragged else mask
                arriving = e.load_masked(e.at(source, e.plus(e.times(b, e.number("dh_b")), unit)), lanes_read)
                place = e.at(target, e.plus(e.times(b, P), unit))
                e.store(e.add(e.load(place), arriving), place)
    for state in layout.plan.states:
        with e.when(e.given(f"dstate:{state}")):
            first = e.times(e.plus(e.times(e.plus(t, e.integer(1)), B), row), P)
            target, source = e.at(e.pointer(f"dstate:{state}"), first), e.carried(state, t, row).pointer
            with (
                e.loop(e.number("first_vector"), e.number("end_vector")) as j,
                e.loop(e.integer(0), rows) as b,
            ):
                here = e.plus(e.times(b, P), e.times(j, e.integer(lanes.count)))
                e.store(e.load(e.at(source, here)), e.at(target, here))
    e.b.ret_void()
    return e.function


def _emit_stage(module: Any, lanes: Lanes, layout: Layout, k: int, flow: Flow, ragged: bool) -> Any:
    e = Frame(module, f"backward_stage_{k}", lanes, layout, more=3)
    t, row, rows = e.more
    tile = e.number("tile")
    with e.loop(e.integer(0), rows, tile) as before:  # each tile has sums of its own
        first, here = e.plus(row, before), e.least(tile, e.b.sub(rows, before))
        emit_backward_stage(e, k, flow, Step(t, first, here, e.b.sdiv(first, tile), before), ragged=ragged)
    e.b.ret_void()
    return e.function


def _push(e: Frame, products: Products, run: Run, t: Value, row: Value, rows: Value, starts: bool) -> None:
    """Add da @ W^T to the gradient of the run's operand."""
    if run.kind == "previous":
        target = e.carried(run.operand, e.b.sub(t, e.integer(1)), row)
    elif run.operand in e.layout.plan.states:
        target = e.carried(run.operand, t, row)
    else:
        target = e.gradient(run.operand)
    source = e.column(e.da(run.stage, t, row), run.column)
    P = e.number("P")
    k = e.plus(e.times(e.integer(run.count - 1), P), e.number("H"))  # the last block's padding is left out
    start = e.pointer("zeros") if starts else target.pointer
    arguments = [rows, e.number("V"), k, source.pointer, source.stride, e.integer(1), e.pointer(f"back:{run.key}"),
                 target.pointer, target.stride, start, e.integer(0) if starts else target.stride, t]  # fmt: skip
    e.b.call(products.gemm, arguments)
