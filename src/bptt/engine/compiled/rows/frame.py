"""A cell kernel's function where sequences are the lanes: line u of an array is unit u of all rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bptt.engine.compiled.llvm.emitter import Lanes, Value
from bptt.engine.compiled.rows.layout import RowsLayout
from bptt.engine.compiled.units.frame import Cell, Frame, Grid, Step
from bptt.engine.compiled.units.layout import Run


class RowsFrame(Frame):
    """Lines of S sequences, one a unit; what belongs to one tile alone has lines of a tile."""

    layout: RowsLayout

    def __init__(self, module: Any, name: str, lanes: Lanes, layout: RowsLayout, more: int = 0) -> None:
        super().__init__(module, name, lanes, layout, more, public=not more)
        self.stride = lanes.count

    # ---------------------------------------------------------------- arrays, from a tile's first row on

    def inputs(self, t: Value, row: Value) -> Grid:
        """The input of step t."""
        place = self.times(t, self.number("keep"), self.number("D"), self.number("S"))
        return Grid(self.at(self.pointer("inputs"), self.plus(place, row)), self.number("S"))

    def operand(self, run: Run, step: Step) -> tuple[Grid, Value]:
        """What a run multiplies at a step, and how many lines there are of it."""
        if run.kind == "x":
            return self.inputs(step.t, step.row), self.number("D")
        lines = (self.state if run.kind == "previous" else self.value)(run.operand, step.t, step.row)
        return lines, self.number("H")

    def columns(self, stage: int) -> Grid:
        """A stage's pre-activations."""
        return self._of_tile(f"columns:{stage}")

    def da(self, stage: int, t: Value, row: Value) -> Grid:
        """The gradients of a stage's columns at step t."""
        place = self.times(self.b.srem(t, self.number("chunk")), self.lines(stage), self.number("S"))
        return Grid(self.at(self.pointer(f"da:{stage}"), self.plus(place, row)), self.number("S"))

    def column(self, grid: Grid, column: int) -> Grid:
        """One column of `columns` or `da`, and those after it."""
        offset = self.times(self.integer(column), self.number("H"), grid.stride)
        return Grid(self.at(grid.pointer, offset), grid.stride)

    def lines(self, stage: int) -> Value:
        """Lines of a stage's columns."""
        return self.times(self.integer(len(self.layout.plan.stages[stage].columns)), self.number("H"))

    def column_sum(self, stage: int, column: int, tile: Value, unit: Value) -> Value:
        """Where a tile's sums of a column's gradient are kept, lane by lane."""
        line = self.plus(
            self.times(tile, self.lines(stage)), self.times(self.integer(column), self.number("H")), unit
        )
        return self.at(self.pointer(f"dbias:{stage}"), self.times(line, self.integer(self.lanes.count)))

    def vector_sum(self, name: str, tile: Value, unit: Value) -> Value:
        """Where a tile's sums of a vector's gradient are kept, lane by lane."""
        line = self.plus(self.times(tile, self.number("H")), unit)
        return self.at(self.pointer(f"dvector:{name}"), self.times(line, self.integer(self.lanes.count)))

    # ---------------------------------------------------------------- visiting units and rows

    def whole(self) -> tuple[Value, Value]:
        """The first and the end of what `each_unit` counts: all units."""
        return self.integer(0), self.number("H")

    def lines_of(self, step: Step) -> tuple[Value, Value, Value]:
        """Return how many lines a tile has, here units, and the first place and the end of each."""
        return self.number("H"), self.integer(0), step.rows

    def in_line(self, line: Value, place: Value) -> Cell:
        """Return the unit and the row of a place in a line."""
        return line, place

    @contextmanager
    def each_unit(self) -> Iterator[Value]:
        """Visit all units, one by one."""
        with self.loop(*self.whole()) as unit:
            yield unit

    @contextmanager
    def each_row(self, step: Step) -> Iterator[Value]:
        """Visit a tile's rows, a vector of them at a time."""
        with self.loop(self.integer(0), step.rows, self.integer(self.lanes.count)) as b:
            yield b

    def cell(self, grid: Grid, unit: Value, b: Value) -> Value:
        """The address of lanes: `unit` and row `b` of the tile come first."""
        return self.at(grid.pointer, self.plus(self.times(unit, grid.stride), b))

    def vector(self, name: str, unit: Value) -> Value:
        """A per-unit parameter."""
        return self.splat(self.load_scalar(self.at(self.pointer(f"vector:{name}"), unit)))

    def inside(self, step: Step, unit: Value, b: Value) -> Value:  # noqa: ARG002  # every line is a unit
        """Lanes that are no padding."""
        return self._longer(step, b, self.const_bits(0))

    def active(self, step: Step, b: Value) -> Value:
        """Lanes of rows that the step belongs to."""
        return self._longer(step, b, self.splat_bits(step.t))

    def kept(self, name: str, value: Value, step: Step, b: Value) -> Value:
        """A stage's result as it is stored: what a weight's gradient reads is 0 in padding rows."""
        if name not in self.layout.plan.states and name not in self.layout.operands:
            return value
        return self.select(self._longer(step, b, self.const_bits(0)), value, self.const(0))

    # ---------------------------------------------------------------- inside

    def _longer(self, step: Step, b: Value, than: Value) -> Value:
        ends = self.to_bits(self.load(self.at(self.pointer("ends"), self.plus(step.row, b))))
        return self.b.icmp_signed(">", ends, than)

    def _at_step(self, array: str, place: Value, row: Value) -> Grid:
        start = self.times(place, self.number("H"), self.number("S"))
        return Grid(self.at(self.pointer(array), self.plus(start, row)), self.number("S"))

    def gradient(self, name: str, before: Value | None = None) -> Grid:  # noqa: ARG002  # a sweep back takes tiles
        """The gradient of a stage's result that is no state."""
        return Grid(self.pointer(f"gradient:{name}"), self.number("tile"))

    def _of_tile(self, array: str, before: Value | None = None) -> Grid:  # noqa: ARG002  # forward there are no tiles
        return Grid(self.pointer(array), self.number("together"))
