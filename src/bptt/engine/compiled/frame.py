"""A cell kernel's function: its argument array, and the addresses of a layer's arrays."""

from __future__ import annotations

from typing import Any

from bptt.engine.compiled.arguments import ArgumentFrame
from bptt.engine.compiled.emitter import I64, Lanes, Value
from bptt.engine.compiled.layout import Layout


class Frame(ArgumentFrame):
    """A function of a layout's argument array."""

    def __init__(
        self, module: Any, name: str, lanes: Lanes, layout: Layout, more: int = 0, *, public: bool = False
    ) -> None:
        super().__init__(module, name, lanes, layout.slots, more, public=public)
        self.layout = layout

    # ---------------------------------------------------------------- rows of units: all have stride P

    def state(self, name: str, t: Value, row: Value) -> Value:
        """A state before step t, from `row` on."""
        place = self.b.and_(t, self.number("ring"))
        return self._rows(f"state:{name}", self.plus(self.times(place, self.number("B")), row))

    def saved(self, name: str, t: Value, row: Value) -> Value:
        """A kept value of step t."""
        place = self.times(t, self.number("keep"), self.number("B"))
        return self._rows(f"saved:{name}", self.plus(place, row))

    def value(self, name: str, t: Value, row: Value) -> Value:
        """A stage's result at step t."""
        if name in self.layout.plan.states:
            return self.state(name, self.plus(t, self.integer(1)), row)
        if name in self.layout.plan.saved:
            return self.saved(name, t, row)
        return self.pointer(f"passing:{name}")

    def carried(self, name: str, t: Value, row: Value) -> Value:
        """The gradient of a state after step t."""
        place = self.b.and_(t, self.integer(1))
        return self._rows(f"carried:{name}", self.plus(self.times(place, self.number("B")), row))

    def da(self, stage: int, t: Value, row: Value) -> Value:
        """The gradients of a stage's columns at step t: rows of columns * P."""
        place = self.plus(self.times(t, self.number("B")), row)
        return self.at(self.pointer(f"da:{stage}"), self.times(place, self.width(stage)))

    def width(self, stage: int) -> Value:
        """Numbers in a row of a stage's columns."""
        return self.times(self.integer(len(self.layout.plan.stages[stage].columns)), self.number("P"))

    def active(self, t: Value, row: Value) -> Value:
        """Whether step t belongs to the row, in all lanes."""
        place = self.b.gep(self.pointer("lengths"), [row], source_etype=I64)
        return self.splat_flag(self.b.icmp_signed("<", t, self.b.load(place, typ=I64)))

    def _rows(self, array: str, row: Value) -> Value:
        return self.at(self.pointer(array), self.times(row, self.number("P")))
