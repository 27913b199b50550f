"""The sweep back through time: the gradients of all pre-activations. `gradient_kernels` makes weights' out of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bptt.cells.plan import StagePlan
from bptt.engine.compiled.emitter import Lanes, Value
from bptt.engine.compiled.forward_kernels import pack_vectors
from bptt.engine.compiled.frame import Frame
from bptt.engine.compiled.layout import Layout, Run
from bptt.engine.compiled.products import Products
from bptt.engine.compiled.programs import Program, emit_program, of_formula, read_program
from bptt.engine.compiled.reverse_mode import derive_backward


@dataclass
class _Flow:
    """Which gradients have been written so far, as the stages are visited last to first.

    The first to write a gradient overwrites what is there, the others add: nothing needs to be cleared.
    """

    values: set[str] = field(default_factory=set)
    previous: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Steps:
    """The parts of a step back: functions, and a stage's products with whether each is the first to write."""

    upstream: Any
    stages: dict[int, Any]
    pushes: dict[int, list[tuple[Run, bool]]]


def emit_backward(
    module: Any, prefix: str, lanes: Lanes, layout: Layout, products: Products, *, ragged: bool
) -> Steps:
    """Emit ``pack_backward(arguments)``, and ``backward_rows(arguments)`` for rows first_row..end_row."""
    flow = _Flow()
    upstream = _emit_upstream(module, lanes, layout, ragged)
    order = list(reversed(range(len(layout.plan.stages))))
    stages = {}
    pushes: dict[int, list[tuple[Run, bool]]] = {}
    for k in order:
        stages[k] = _emit_stage(module, lanes, layout, k, flow, ragged)
        pushes[k] = [(run, _note_push(layout, run, flow)) for run in layout.runs[k] if run.kind != "x"]

    e = Frame(module, f"{prefix}pack_backward", lanes, layout, public=True)
    clear(e, products)
    _pack(e, products)
    e.b.ret_void()

    e = Frame(module, f"{prefix}backward_rows", lanes, layout, public=True)
    tile = e.number("tile")
    last = e.b.sub(e.number("T"), e.integer(1))
    with e.loop(e.number("first_row"), e.number("end_row"), tile) as row:
        rows = e.least(tile, e.b.sub(e.number("end_row"), row))
        with e.loop(e.integer(0), e.number("T")) as back:
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
    P, B = e.number("P"), e.number("B")
    with e.when(e.given("dh")):
        start = e.plus(e.times(t, e.number("dh_t")), e.times(row, e.number("dh_b")))
        source, target = e.at(e.pointer("dh"), start), e.carried("h", t, row)
        with e.loop(e.number("first_vector"), e.number("end_vector")) as j:
            unit = e.times(j, e.integer(lanes.count))
            mask = e.below(unit, e.number("H"))
            with e.loop(e.integer(0), rows) as b:
                # Past a row's end dh is not read: there may be anything.
                lanes_read = e.b.and_(mask, e.active(t, e.plus(row, b))) if ragged else mask
                arriving = e.load_masked(e.at(source, e.plus(e.times(b, e.number("dh_b")), unit)), lanes_read)
                place = e.at(target, e.plus(e.times(b, P), unit))
                e.store(e.add(e.load(place), arriving), place)
    for state in layout.plan.states:
        with e.when(e.given(f"dstate:{state}")):
            first = e.times(e.plus(e.times(e.plus(t, e.integer(1)), B), row), P)
            target, source = e.at(e.pointer(f"dstate:{state}"), first), e.carried(state, t, row)
            with (
                e.loop(e.number("first_vector"), e.number("end_vector")) as j,
                e.loop(e.integer(0), rows) as b,
            ):
                here = e.plus(e.times(b, P), e.times(j, e.integer(lanes.count)))
                e.store(e.load(e.at(source, here)), e.at(target, here))
    e.b.ret_void()
    return e.function


def _program(layout: Layout, stage: StagePlan, flow: _Flow) -> Program:
    """Return the stage's backward, as stated or derived."""
    if stage.backward is not None:
        return of_formula(stage.backward)
    arriving = [r for r in stage.forward.results if r in layout.plan.states or r in flow.values]
    return read_program(derive_backward(stage.forward, [s.name for s in stage.differentiable], arriving))


class _Rows:
    """The arrays that a stage's backward reads and writes at one step, from a tile's first row on."""

    def __init__(self, e: Frame, k: int, flow: _Flow, ragged: bool) -> None:
        self.e, self.k, self.flow, self.ragged = e, k, flow, ragged
        self.stage = e.layout.plan.stages[k]
        self.t, self.row, _ = e.more
        before = e.b.sub(self.t, e.integer(1))
        states = e.layout.plan.states
        self.carried = {s: e.carried(s, self.t, self.row) for s in states}
        self.previous = {s: e.carried(s, before, self.row) for s in states}
        self.da = e.da(k, self.t, self.row)

    def argument(self, kind: str, key: str, fixed: dict[str, Value], here: Value, active: Value) -> Value:
        """Load one argument of the formula."""
        e, states = self.e, self.e.layout.plan.states
        match kind:
            case "vector":
                return fixed[key]
            case "constant":
                return e.const(e.layout.constants[key])
            case "column":
                return e.load(e.at(e.saved(key, self.t, self.row), here))
            case "previous":
                return e.load(e.at(e.state(key, self.t, self.row), here))
            case "value":
                return e.load(e.at(e.value(key, self.t, self.row), here))
            case _:
                if key in states:
                    arriving = e.load(e.at(self.carried[key], here))
                    return arriving if active is None else e.select(active, arriving, e.const(0))
                if key in self.flow.values:
                    return e.load(e.at(e.pointer(f"gradient:{key}"), here))
                return e.const(0)  # nothing later used this result


def _emit_stage(module: Any, lanes: Lanes, layout: Layout, k: int, flow: _Flow, ragged: bool) -> Any:
    """Emit a stage's elementwise backward over a tile; `flow` is brought up to date."""
    stage = layout.plan.stages[k]
    program = _program(layout, stage, flow)
    e = Frame(module, f"backward_stage_{k}", lanes, layout, more=3)
    t, row, rows = e.more
    arrays = _Rows(e, k, flow, ragged)
    P, width = e.number("P"), e.width(k)
    tile_number = e.b.sdiv(row, e.number("tile"))
    sources = {s.name: (s.kind, s.key) for s in (stage.backward_inputs if stage.backward else stage.inputs)}
    if not stage.backward:
        sources.update({f"d{r}": ("gradient", r) for r in stage.forward.results})
    starts = _starts(layout, stage, flow, k, ragged)
    with e.loop(e.number("first_vector"), e.number("end_vector")) as j:
        unit = e.times(j, e.integer(lanes.count))
        inside = e.below(unit, e.number("H"))
        fixed = {
            key: e.load(e.at(e.pointer(f"vector:{key}"), unit))
            for kind, key in sources.values()
            if kind == "vector"
        }
        sums = {s.key: e.variable(e.const(0)) for s in stage.differentiable if s.kind in ("column", "vector")}
        with e.loop(e.integer(0), rows) as b:
            here = e.plus(e.times(b, P), unit)
            active = e.active(t, e.plus(row, b)) if ragged else None
            arguments = {
                name: arrays.argument(kind, key, fixed, here, active)
                for name, (kind, key) in sources.items()
                if kind != "function"
            }
            found = emit_program(e, program, arguments, layout.functions)
            # Padding lanes hold whatever the formula makes of nothing; products and sums must see zeros there.
            mask = inside if active is None else e.b.and_(inside, active)
            before = {s: e.load(e.at(arrays.carried[s], here)) for s in layout.plan.states} if ragged else {}
            previous: dict[str, Value] = {}
            for s in stage.differentiable:
                d = e.select(mask, found[f"d{s.name}"], e.const(0))
                if s.kind in ("column", "vector"):
                    e.write(e.add(e.read(sums[s.key], lanes.vector), d), sums[s.key])
                if s.kind == "column":
                    offset = e.plus(
                        e.times(b, width), e.times(e.integer(stage.columns.index(s.key)), P), unit
                    )
                    e.store(d, e.at(arrays.da, offset))
                elif s.kind == "previous":
                    previous[s.key] = d
                elif s.kind == "value":
                    _accumulate(e, arrays, s.key, d, here, flow)
            for state in (*starts, *(s for s in previous if s not in starts)):
                d = previous.get(state, e.const(0))
                place = e.at(arrays.previous[state], here)
                if state not in starts:
                    d = e.add(e.load(place), d)
                elif active is not None:
                    # A finished row hands its gradient straight on to its last valid step.
                    d = e.select(active, d, before[state])
                e.store(d, place)
        _add_sums(e, stage, k, sums, tile_number, unit)
    e.b.ret_void()
    flow.previous |= set(starts)
    flow.values |= {s.key for s in stage.differentiable if s.kind == "value"}
    return e.function


def _starts(layout: Layout, stage: StagePlan, flow: _Flow, k: int, ragged: bool) -> list[str]:
    """Return the old states whose gradient this stage's elementwise step is the first to write."""
    own = {s.key for s in stage.differentiable if s.kind == "previous"}
    if k == len(layout.plan.stages) - 1:
        others = {run.operand for runs in layout.runs for run in runs if run.kind == "previous"}
        others |= {s.key for p in layout.plan.stages for s in p.differentiable if s.kind == "previous"}
        own |= {s for s in layout.plan.states if ragged or s not in others}
    return [s for s in layout.plan.states if s in own and s not in flow.previous]


def _accumulate(e: Frame, arrays: _Rows, key: str, d: Value, here: Value, flow: _Flow) -> None:
    """Add to the gradient of an earlier stage's result."""
    if key in e.layout.plan.states:
        place = e.at(arrays.carried[key], here)
        e.store(e.add(e.load(place), d), place)
        return
    place = e.at(e.pointer(f"gradient:{key}"), here)
    e.store(e.add(e.load(place), d) if key in flow.values else d, place)


def _add_sums(e: Frame, stage: StagePlan, k: int, sums: dict[str, Value], tile: Value, unit: Value) -> None:
    """Add this step's sums over rows: step sums first, then their sum over steps, which keeps rounding small."""
    P = e.number("P")
    for key, place in sums.items():
        if key in stage.columns:
            offset = e.plus(e.times(tile, e.width(k)), e.times(e.integer(stage.columns.index(key)), P), unit)
            target = e.at(e.pointer(f"dbias:{k}"), offset)
        else:
            target = e.at(e.pointer(f"dvector:{key}"), e.plus(e.times(tile, P), unit))
        e.store(e.add(e.load(target), e.read(place, e.lanes.vector)), target)


def _note_push(layout: Layout, run: Run, flow: _Flow) -> bool:
    """Return whether a run's product is the first to write its operand's gradient."""
    if run.kind == "previous":
        starts = run.operand not in flow.previous
        flow.previous.add(run.operand)
        return starts
    if run.operand in layout.plan.states:
        return False
    starts = run.operand not in flow.values
    flow.values.add(run.operand)
    return starts


def _push(e: Frame, products: Products, run: Run, t: Value, row: Value, rows: Value, starts: bool) -> None:
    """Add da @ W^T to the gradient of the run's operand."""
    P = e.number("P")
    if run.kind == "previous":
        target = e.carried(run.operand, e.b.sub(t, e.integer(1)), row)
    elif run.operand in e.layout.plan.states:
        target = e.carried(run.operand, t, row)
    else:
        target = e.pointer(f"gradient:{run.operand}")
    source = e.at(e.da(run.stage, t, row), e.times(e.integer(run.column), P))
    k = e.plus(e.times(e.integer(run.count - 1), P), e.number("H"))  # the last block's padding is left out
    start = e.pointer("zeros") if starts else target
    arguments = [rows, e.number("V"), k, source, e.width(run.stage), e.integer(1), e.pointer(f"back:{run.key}"),
                 target, P, start, e.integer(0) if starts else P]  # fmt: skip
    e.b.call(products.gemm, arguments)
