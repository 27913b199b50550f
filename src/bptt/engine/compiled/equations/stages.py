"""The elementwise half of a step, forward and back: a cell's equations over the lanes of either layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bptt.cells.plan import StagePlan
from bptt.engine.compiled.equations.phases import Phase, split
from bptt.engine.compiled.equations.programs import (
    Program,
    emit_abreast,
    emit_program,
    of_formula,
    read_program,
)
from bptt.engine.compiled.equations.reverse_mode import derive_backward
from bptt.engine.compiled.llvm.emitter import Value
from bptt.engine.compiled.units.frame import ABREAST, Cell, Frame, Grid, Step
from bptt.engine.compiled.units.layout import Layout, Run


class ForwardStage:
    """A stage's formula at one step: what it reads, what it leaves, and in how many phases."""

    def __init__(self, e: Frame, k: int, step: Step, *, ragged: bool) -> None:
        layout, stage = e.layout, e.layout.plan.stages[k]
        t, row = step.t, step.row
        self.e, self.stage, self.step, self.ragged = e, stage, step, ragged
        self.columns = {c: e.column(e.columns(k), n) for n, c in enumerate(stage.columns)}
        self.previous = {s: e.state(s, t, row) for s in layout.plan.states}
        self.sources = {
            s.name: {"column": self.columns, "previous": self.previous}[s.kind][s.key]
            if s.kind in ("column", "previous")
            else e.value(s.key, t, row)
            for s in stage.inputs
            if s.kind in ("column", "previous", "value")
        }
        wanted = {*layout.plan.states, *layout.plan.saved, *layout.passing}
        self.targets = {name: e.value(name, t, row) for name in stage.forward.results if name in wanted}
        self.kept_columns = {c: e.saved(c, t, row) for c in stage.columns if c in layout.plan.saved}
        program = of_formula(stage.forward)
        self.phases = split(program, layout.functions, list(self.columns), frozenset(self.targets))

    def fixed(self, unit: Value) -> dict[str, Value]:
        """Return what is the same for all rows."""
        e, found = self.e, {}
        for s in self.stage.inputs:
            if s.kind == "vector":
                found[s.name] = e.vector(s.key, unit)
            elif s.kind == "constant":
                found[s.name] = e.const(e.layout.constants[s.key])
        return found

    def write(
        self, found: Mapping[str, Value], places: Mapping[str, Grid], active: Value, unit: Value, b: Value
    ) -> None:
        """Store those results that have a place."""
        e, states = self.e, self.e.layout.plan.states
        for name, value in found.items():
            if name not in places:
                continue
            kept = e.kept(name, value, self.step, b)
            if active is not None and name in states:
                # A finished row carries its last state on.
                kept = e.select(active, value, e.load(e.cell(self.previous[name], unit, b)))
            e.store(kept, e.cell(places[name], unit, b))


def emit_forward_stage(e: Frame, k: int, step: Step, *, ragged: bool) -> None:
    """Emit stage k over a tile: its columns hold the products by now."""
    stage = ForwardStage(e, k, step, ragged=ragged)
    phases = stage.phases
    # Activations that other ones wait for, or that come in numbers, have enough beside them.
    alone = [phase.activations for phase in phases] == [1]
    held = {name: stage.columns[c] for phase in phases for name, c in phase.held.items()}
    places = held | stage.targets
    with e.each_block(step, whole=len(phases) == 1) as block:
        for phase in phases:
            with e.loop(*block) as line:
                for loop in e.few_cells(step, line, ABREAST if alone else 1):
                    with loop as cells:
                        _phase(stage, phase, places, cells)


def _phase(stage: ForwardStage, phase: Phase, places: Mapping[str, Grid], cells: Sequence[Cell]) -> None:
    """Emit a phase for a few vectors side by side."""
    e, sources = stage.e, stage.sources
    fixed = [stage.fixed(unit) for unit, _ in cells]
    here = {n: sources[n] if n in sources else places[n] for n in phase.reads if n not in fixed[0]}
    if phase is stage.phases[0]:
        here |= {n: sources[n] for n in stage.kept_columns}
    several = [
        own | {name: e.load(e.cell(grid, *cell)) for name, grid in here.items()}
        for own, cell in zip(fixed, cells, strict=True)
    ]
    each = emit_abreast(e, phase.program, several, e.layout.functions)
    for (unit, b), arguments, found in zip(cells, several, each, strict=True):
        active = e.active(stage.step, b) if stage.ragged else None
        stage.write(found, places, active, unit, b)
        if phase is stage.phases[0]:
            for name, grid in stage.kept_columns.items():
                e.store(arguments[name], e.cell(grid, unit, b))


@dataclass
class Flow:
    """Which gradients have been written so far, as the stages are visited last to first.

    The first to write a gradient overwrites what is there, the others add: nothing needs to be cleared.
    """

    values: set[str] = field(default_factory=set)
    previous: set[str] = field(default_factory=set)

    def note_push(self, layout: Layout, run: Run) -> bool:
        """Return whether a run's product is the first to write its operand's gradient."""
        if run.kind == "previous":
            starts = run.operand not in self.previous
            self.previous.add(run.operand)
            return starts
        if run.operand in layout.plan.states:
            return False
        starts = run.operand not in self.values
        self.values.add(run.operand)
        return starts


class _Gradients:
    """The arrays that a stage's backward reads and writes at one step."""

    def __init__(self, e: Frame, k: int, flow: Flow, step: Step) -> None:
        self.e, self.flow, self.step = e, flow, step
        self.stage = e.layout.plan.stages[k]
        before = e.b.sub(step.t, e.integer(1))
        states = e.layout.plan.states
        self.carried = {s: e.carried(s, step.t, step.row) for s in states}
        self.previous = {s: e.carried(s, before, step.row) for s in states}
        da = e.da(k, step.t, step.row)
        self.da = {c: e.column(da, n) for n, c in enumerate(self.stage.columns)}

    def argument(
        self, kind: str, key: str, fixed: Mapping[str, Value], unit: Value, b: Value, active: Value
    ) -> Value:
        """Load one argument of the formula."""
        e, t, row = self.e, self.step.t, self.step.row
        grid: Grid
        match kind:
            case "vector":
                return fixed[key]
            case "constant":
                return e.const(e.layout.constants[key])
            case "column":
                grid = e.saved(key, t, row)
            case "previous":
                grid = e.state(key, t, row)
            case "value":
                grid = e.value(key, t, row)
            case _:
                if key in e.layout.plan.states:
                    arriving = e.load(e.cell(self.carried[key], unit, b))
                    return arriving if active is None else e.select(active, arriving, e.const(0))
                if key not in self.flow.values:
                    return e.const(0)  # nothing later used this result
                grid = e.gradient(key, self.step.before)
        return e.load(e.cell(grid, unit, b))

    def accumulate(self, key: str, d: Value, unit: Value, b: Value) -> None:
        """Add to the gradient of an earlier stage's result."""
        e = self.e
        state = key in e.layout.plan.states
        place = e.cell(self.carried[key] if state else e.gradient(key, self.step.before), unit, b)
        e.store(e.add(e.load(place), d) if state or key in self.flow.values else d, place)


def emit_backward_stage(e: Frame, k: int, flow: Flow, step: Step, *, ragged: bool) -> None:
    """Emit stage k's backward over a tile; `flow` is brought up to date."""
    layout, stage = e.layout, e.layout.plan.stages[k]
    program = _program(layout, stage, flow)
    arrays = _Gradients(e, k, flow, step)
    sources = {s.name: (s.kind, s.key) for s in (stage.backward_inputs if stage.backward else stage.inputs)}
    if not stage.backward:
        sources.update({f"d{r}": ("gradient", r) for r in stage.forward.results})
    starts = _starts(layout, stage, flow, k, ragged)
    with e.each_unit() as unit:
        fixed = {key: e.vector(key, unit) for kind, key in sources.values() if kind == "vector"}
        sums = {s.key: e.variable(e.const(0)) for s in stage.differentiable if s.kind in ("column", "vector")}
        with e.each_row(step) as b:
            active = e.active(step, b) if ragged else None
            arguments = {
                name: arrays.argument(kind, key, fixed, unit, b, active)
                for name, (kind, key) in sources.items()
                if kind != "function"
            }
            found = emit_program(e, program, arguments, layout.functions)
            # Padding lanes hold whatever the formula makes of nothing; products and sums must see zeros there.
            mask = e.inside(step, unit, b)
            mask = mask if active is None else e.b.and_(mask, active)
            before = {s: e.load(e.cell(arrays.carried[s], unit, b)) for s in starts} if ragged else {}
            previous: dict[str, Value] = {}
            for s in stage.differentiable:
                d = e.select(mask, found[f"d{s.name}"], e.const(0))
                if s.kind in ("column", "vector"):
                    e.write(e.add(e.read(sums[s.key], e.lanes.vector), d), sums[s.key])
                if s.kind == "column":
                    e.store(d, e.cell(arrays.da[s.key], unit, b))
                elif s.kind == "previous":
                    previous[s.key] = d
                elif s.kind == "value":
                    arrays.accumulate(s.key, d, unit, b)
            for state in (*starts, *(s for s in previous if s not in starts)):
                d = previous.get(state, e.const(0))
                place = e.cell(arrays.previous[state], unit, b)
                if state not in starts:
                    d = e.add(e.load(place), d)
                elif active is not None:
                    # A finished row hands its gradient straight on to its last valid step.
                    d = e.select(active, d, before[state])
                e.store(d, place)
        # This step's sums over rows: step sums first, then their sum over steps, which keeps rounding small.
        for key, total in sums.items():
            if key in stage.columns:
                place = e.column_sum(k, stage.columns.index(key), step.tile, unit)
            else:
                place = e.vector_sum(key, step.tile, unit)
            e.store(e.add(e.load(place), e.read(total, e.lanes.vector)), place)
    flow.previous |= set(starts)
    flow.values |= {s.key for s in stage.differentiable if s.kind == "value"}


def _program(layout: Layout, stage: StagePlan, flow: Flow) -> Program:
    """Return the stage's backward, as stated or derived."""
    if stage.backward is not None:
        return of_formula(stage.backward)
    arriving = [r for r in stage.forward.results if r in layout.plan.states or r in flow.values]
    return read_program(derive_backward(stage.forward, [s.name for s in stage.differentiable], arriving))


def _starts(layout: Layout, stage: StagePlan, flow: Flow, k: int, ragged: bool) -> list[str]:
    """Return the old states whose gradient this stage's elementwise step is the first to write."""
    own = {s.key for s in stage.differentiable if s.kind == "previous"}
    if k == len(layout.plan.stages) - 1:
        others = {run.operand for runs in layout.runs for run in runs if run.kind == "previous"}
        others |= {s.key for p in layout.plan.stages for s in p.differentiable if s.kind == "previous"}
        own |= {s for s in layout.plan.states if ragged or s not in others}
    return [s for s in layout.plan.states if s in own and s not in flow.previous]
