"""One step of one layer for a tile of streams: products, then the cell's elementwise formulas, stage by stage."""

from __future__ import annotations

from typing import Any

from bptt.engine.compiled.equations.programs import emit_program, of_formula
from bptt.engine.compiled.llvm.emitter import Lanes, Value
from bptt.engine.compiled.streams.frame import StreamFrame
from bptt.engine.compiled.streams.layout import StreamLayout
from bptt.engine.compiled.streams.products import StreamProducts
from bptt.engine.compiled.units.layout import Run

# Before the step the newest states are at place `now`, after it at 1 - now; a tile starts at stream `row`.
ARGUMENTS = "now row rows"


def emit_layer(module: Any, lanes: Lanes, layout: StreamLayout, products: StreamProducts) -> Any:
    """Emit ``layer(arguments, now, row, rows, x, stride)``: x is the tile's first row, the next lies `stride` on."""
    count = len(layout.layout.plan.stages)
    stages = [_emit_stage(module, lanes, layout, k) for k in range(count)]
    e = StreamFrame(module, "layer", lanes, layout.slots, f"{ARGUMENTS} X stride")
    now, row, rows, x, stride = e.more
    for k in range(count):
        for run in layout.layout.runs[k]:
            if run.kind == "x":
                operand, step, length = x, stride, e.number("D")
            else:
                operand = _place(e, layout, run.operand, now, row, after=run.kind == "value")
                step, length = e.number("P"), e.number("H")
            _product(e, layout, products, run, operand, step, length, rows)
        e.b.call(stages[k], [e.arguments, now, row, rows])
    e.b.ret_void()
    return e.function


def _product(
    e: StreamFrame,
    layout: StreamLayout,
    products: StreamProducts,
    run: Run,
    operand: Value,
    step: Value,
    length: Value,
    rows: Value,
) -> None:
    """Add operand @ weight to the run's columns; the first product of a column starts from the bias."""
    width = _width(e, layout, run.stage)
    offset = e.times(e.integer(run.column), e.number("P"))
    target = e.at(e.pointer(f"columns:{run.stage}"), offset)
    start = e.at(e.pointer(f"bias:{run.stage}"), offset) if run.first else target
    vectors = e.times(e.integer(run.count), e.number("V"))
    packed = e.pointer(f"packed:{run.key}")
    alone = e.b.icmp_signed("==", rows, e.integer(1))
    with e.when(alone):
        e.b.call(products.gemv, [vectors, length, operand, packed, target, start])
    with e.when(e.b.not_(alone)):
        next_start = e.integer(0) if run.first else width
        arguments = [rows, vectors, length, operand, step, e.integer(1), packed, target, width]
        e.b.call(products.gemm, [*arguments, start, next_start, e.integer(0)])


def _emit_stage(module: Any, lanes: Lanes, layout: StreamLayout, k: int) -> Any:
    """Emit a stage's elementwise step over a tile."""
    plan = layout.layout.plan
    stage = plan.stages[k]
    e = StreamFrame(module, f"stage_{k}", lanes, layout.slots, ARGUMENTS)
    now, row, rows = e.more
    P, width, columns = e.number("P"), _width(e, layout, k), e.pointer(f"columns:{k}")
    # By argument: a state may be read both as it was and as an earlier stage left it.
    sources = {
        s.name: _place(e, layout, s.key, now, row, after=s.kind == "value")
        for s in stage.inputs
        if s.kind in ("previous", "value")
    }
    targets = {
        name: _place(e, layout, name, now, row, after=True)
        for name in stage.forward.results
        if name in plan.states or name in layout.passing
    }
    program = of_formula(stage.forward)
    with e.loop(e.integer(0), e.number("V")) as j:
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
                    column = e.times(e.integer(stage.columns.index(s.key)), P)
                    arguments[s.name] = e.load(e.at(columns, e.plus(e.times(b, width), column, unit)))
                elif s.name in sources:
                    arguments[s.name] = e.load(e.at(sources[s.name], here))
                elif s.kind == "constant":
                    arguments[s.name] = e.const(layout.layout.constants[s.key])
            found = emit_program(e, program, arguments, layout.layout.functions)
            for name, target in targets.items():
                e.store(found[name], e.at(target, here))
    e.b.ret_void()
    return e.function


def _place(e: StreamFrame, layout: StreamLayout, name: str, now: Value, row: Value, *, after: bool) -> Value:
    """Return a state before or after the step, from `row` on; another result, which only the tile has."""
    if name not in layout.layout.plan.states:
        return e.pointer(f"passing:{name}")
    turn = e.b.sub(e.integer(1), now) if after else now
    return e.at(e.pointer(f"state:{name}"), e.times(e.plus(e.times(turn, e.number("S")), row), e.number("P")))


def _width(e: StreamFrame, layout: StreamLayout, stage: int) -> Value:
    """Return the numbers in a row of a stage's columns."""
    return e.times(e.integer(len(layout.layout.plan.stages[stage].columns)), e.number("P"))
