"""A function of a stream's kernels, with its part of the argument array at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llvmlite import ir

from bptt.engine.compiled.emitter import I64, POINTER, VOID, Emitter, Lanes, Value

I32 = ir.IntType(32)


class StreamFrame(Emitter):
    """A function ``name(arguments, ...)``; sizes and addresses are read once, at its entry.

    Parameters
    ----------
    slots : mapping of name to place in the argument array
    more : str
        Further arguments, separated by blanks: capitals are pointers, the others 64-bit integers.
    result : LLVM type, optional
        What a function that Python calls returns; one without is seen in its module alone.
    """

    def __init__(
        self,
        module: Any,
        name: str,
        lanes: Lanes,
        slots: Mapping[str, int],
        more: str = "",
        *,
        result: Any = None,
    ) -> None:
        kinds = [POINTER, *(POINTER if a.isupper() else I64 for a in more.split())]
        function = ir.Function(module, ir.FunctionType(VOID if result is None else result, kinds), name)
        function.attributes.add("nounwind")
        if result is None:
            function.linkage = "internal"
        super().__init__(function, lanes)
        self.slots = slots
        self.arguments = function.args[0]
        self.more = list(function.args[1:])
        self._read: dict[str, Value] = {}

    def number(self, name: str) -> Value:
        """Return a size or a switch."""
        if name not in self._read:
            with self.b.goto_entry_block():
                place = self.b.gep(self.arguments, [self.integer(self.slots[name])], source_etype=I64)
                self._read[name] = self.b.load(place, typ=I64)
        return self._read[name]

    def pointer(self, name: str) -> Value:
        """Return an array's address."""
        key = f"*{name}"
        if key not in self._read:
            number = self.number(name)
            with self.b.goto_entry_block():
                self._read[key] = self.b.inttoptr(number, POINTER)
        return self._read[key]

    def given(self, name: str) -> Value:
        """Tell whether a number is not 0: an array that is there, a switch that is on."""
        return self.b.icmp_signed("!=", self.number(name), self.integer(0))

    def load_integer(self, pointer: Value, place: Value) -> Value:
        """Read one of an array of 64-bit integers."""
        return self.b.load(self.b.gep(pointer, [place], source_etype=I64), typ=I64)

    def total(self, value: Value) -> Value:
        """Add up all lanes, by halves: one number."""
        count, half = self.lanes.count, self.lanes.count // 2
        while half:
            turned = self._shuffle(value, value, [(k + half) % count for k in range(count)])
            value = self.b.fadd(value, turned)
            half //= 2
        return self.b.extract_element(value, ir.Constant(I32, 0))
