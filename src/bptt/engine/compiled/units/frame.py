"""A cell kernel's function: its argument array, the addresses of a layer's arrays, and the order they are visited in.

This frame is that of units in the lanes; `rows.frame` has the other. The elementwise code of `stages` is written
against what both offer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from bptt.engine.compiled.llvm.arguments import ArgumentFrame
from bptt.engine.compiled.llvm.emitter import I64, Lanes, Value
from bptt.engine.compiled.units.layout import FEW_LINES, Layout

# Vectors that a phase of a formula goes through before the next one: what it leaves stays in the first cache.
VISITS = 32
# Activations of different vectors that go side by side.
ABREAST = 4


# A vector's unit, or its first, and its row, or its first.
Cell = tuple[Value, Value]


@dataclass(frozen=True)
class Grid:
    """A number for each unit and row: the address of the first, and how far apart the padded lines of lanes lie."""

    pointer: Value
    stride: Value


@dataclass(frozen=True)
class Step:
    """What a stage works on: a step in time, and a tile's rows."""

    t: Value
    row: Value  # the first
    rows: Value  # how many
    tile: Value  # the tile's number
    before: Value | None = None  # rows before it of those that go through the step together


class Frame(ArgumentFrame):
    """A function of a layout's argument array. One lane is one unit; all lines of units have stride P."""

    stride = 1  # places of a line from a vector to the next

    def __init__(
        self, module: Any, name: str, lanes: Lanes, layout: Layout, more: int = 0, *, public: bool = False
    ) -> None:
        super().__init__(module, name, lanes, layout.slots, more, public=public)
        self.layout = layout

    # ---------------------------------------------------------------- arrays, from a tile's first row on

    def state(self, name: str, t: Value, row: Value) -> Grid:
        """A state before step t."""
        return self._at_step(f"state:{name}", self.b.and_(t, self.number("ring")), row)

    def saved(self, name: str, t: Value, row: Value) -> Grid:
        """A kept value of step t."""
        return self._at_step(f"saved:{name}", self.times(t, self.number("keep")), row)

    def carried(self, name: str, t: Value, row: Value) -> Grid:
        """The gradient of a state after step t."""
        return self._at_step(f"carried:{name}", self.b.and_(t, self.integer(1)), row)

    def value(self, name: str, t: Value, row: Value) -> Grid:
        """A stage's result at step t."""
        if name in self.layout.plan.states:
            return self.state(name, self.plus(t, self.integer(1)), row)
        if name in self.layout.plan.saved:
            return self.saved(name, t, row)
        return self._of_tile(f"passing:{name}")

    def gradient(self, name: str, before: Value | None = None) -> Grid:
        """The gradient of a stage's result that is no state; from the row after those `before` on."""
        return self._of_tile(f"gradient:{name}", before)

    def columns(self, stage: int) -> Grid:
        """A stage's pre-activations."""
        return Grid(self.pointer(f"columns:{stage}"), self.width(stage))

    def da(self, stage: int, t: Value, row: Value) -> Grid:
        """The gradients of a stage's columns at step t: those of one chunk of steps are kept."""
        place = self.plus(self.times(self.b.srem(t, self.number("chunk")), self.number("B")), row)
        vectors = self.times(self.integer(len(self.layout.plan.stages[stage].columns)), self.number("V"))
        few = self.b.icmp_signed("==", self.b.srem(vectors, self.integer(FEW_LINES)), self.integer(0))
        longer = self.b.select(few, self.integer(self.lanes.count), self.integer(0))
        stride = self.plus(self.width(stage), longer)
        return Grid(self.at(self.pointer(f"da:{stage}"), self.times(place, stride)), stride)

    def column(self, grid: Grid, column: int) -> Grid:
        """One column of `columns` or `da`, and those after it."""
        offset = self.times(self.integer(column), self.number("P"))
        return Grid(self.at(grid.pointer, offset), grid.stride)

    def width(self, stage: int) -> Value:
        """Numbers in a row of a stage's columns."""
        return self.times(self.integer(len(self.layout.plan.stages[stage].columns)), self.number("P"))

    def column_sum(self, stage: int, column: int, tile: Value, unit: Value) -> Value:
        """Where a tile's sum of a column's gradient over rows is kept."""
        offset = self.times(self.integer(column), self.number("P"))
        return self.at(
            self.pointer(f"dbias:{stage}"), self.plus(self.times(tile, self.width(stage)), offset, unit)
        )

    def vector_sum(self, name: str, tile: Value, unit: Value) -> Value:
        """Where a tile's sum of a vector's gradient over rows is kept."""
        return self.at(self.pointer(f"dvector:{name}"), self.plus(self.times(tile, self.number("P")), unit))

    # ---------------------------------------------------------------- visiting units and rows

    @contextmanager
    def each_block(self, step: Step, *, whole: bool) -> Iterator[tuple[Value, Value]]:
        """Visit ranges of lines, of some dozens of vectors of a tile; or all at once. A line lies in one piece."""
        lines, first, end = self.lines_of(step)
        if whole:
            yield self.integer(0), lines
            return
        vectors = self.b.sdiv(self.b.sub(end, first), self.integer(self.stride))
        some = self.b.sdiv(self.integer(VISITS), self.most(vectors, self.integer(1)))
        some = self.most(some, self.integer(1))
        with self.loop(self.integer(0), lines, some) as start:
            yield start, self.least(self.plus(start, some), lines)

    def few_cells(
        self, step: Step, line: Value, count: int
    ) -> Iterator[AbstractContextManager[tuple[Cell, ...]]]:
        """Return loops over the vectors of a line: `count` of them at a time, then what is left over."""
        _, start, end = self.lines_of(step)
        if count > 1:
            left = self.b.srem(self.b.sub(end, start), self.integer(count * self.stride))
            whole = self.b.sub(end, left)
            yield self._cells(line, start, whole, count)
            start = whole
        yield self._cells(line, start, end, 1)

    @contextmanager
    def _cells(self, line: Value, start: Value, end: Value, count: int) -> Iterator[tuple[Cell, ...]]:
        with self.loop(start, end, self.integer(count * self.stride)) as place:
            yield tuple(
                self.in_line(line, self.plus(place, self.integer(k * self.stride))) for k in range(count)
            )

    def lines_of(self, step: Step) -> tuple[Value, Value, Value]:
        """Return how many lines a tile has, here its rows, and the first place and the end of each."""
        return step.rows, *self.whole()

    def in_line(self, line: Value, place: Value) -> Cell:
        """Return the unit and the row of a place in a line."""
        return self.times(place, self.integer(self.lanes.count)), line

    def whole(self) -> tuple[Value, Value]:
        """The first and the end of what `each_unit` counts: vectors of the units that the call works on."""
        return self.number("first_vector"), self.number("end_vector")

    @contextmanager
    def each_unit(self) -> Iterator[Value]:
        """Visit all units, a vector of them at a time."""
        with self.loop(*self.whole()) as j:
            yield self.times(j, self.integer(self.lanes.count))

    @contextmanager
    def each_row(self, step: Step) -> Iterator[Value]:
        """Visit a tile's rows."""
        with self.loop(self.integer(0), step.rows) as b:
            yield b

    def cell(self, grid: Grid, unit: Value, b: Value) -> Value:
        """The address of lanes: `unit` and row `b` of the tile come first."""
        return self.at(grid.pointer, self.plus(self.times(b, grid.stride), unit))

    def vector(self, name: str, unit: Value) -> Value:
        """A per-unit parameter."""
        return self.load(self.at(self.pointer(f"vector:{name}"), unit))

    def inside(self, step: Step, unit: Value, b: Value) -> Value:  # noqa: ARG002  # `rows.frame` asks for rows
        """Lanes that are no padding."""
        return self.below(unit, self.number("H"))

    def active(self, step: Step, b: Value) -> Value:
        """Lanes of rows that the step belongs to."""
        place = self.b.gep(self.pointer("lengths"), [self.plus(step.row, b)], source_etype=I64)
        return self.splat_flag(self.b.icmp_signed("<", step.t, self.b.load(place, typ=I64)))

    def kept(self, name: str, value: Value, step: Step, b: Value) -> Value:  # noqa: ARG002  # see `rows.frame`
        """A stage's result as it is stored: padding units are left as they are, for no product reads them."""
        return value

    # ---------------------------------------------------------------- inside

    def _at_step(self, array: str, place: Value, row: Value) -> Grid:
        line = self.plus(self.times(place, self.number("B")), row)
        return Grid(self.at(self.pointer(array), self.times(line, self.number("P"))), self.number("P"))

    def _of_tile(self, array: str, before: Value | None = None) -> Grid:
        P = self.number("P")
        start = self.pointer(array)
        return Grid(start if before is None else self.at(start, self.times(before, P)), P)
