"""A kernel's function of one argument array: sizes and addresses by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llvmlite import ir

from bptt.engine.compiled.llvm.emitter import I64, POINTER, VOID, Emitter, Lanes, Value


class ArrayFrame(Emitter):
    """A function whose first argument is an array of sizes and addresses, read once, at its entry.

    Parameters
    ----------
    function : LLVM function
    slots : mapping of str to int
        Place of each name in the argument array of 64-bit integers.
    contract : bool
        See `Emitter`.
    """

    def __init__(
        self, function: Any, lanes: Lanes, slots: Mapping[str, int], *, contract: bool = True
    ) -> None:
        super().__init__(function, lanes, contract=contract)
        self.slots = slots
        self.arguments = function.args[0]
        self.more = list(function.args[1:])
        self._read: dict[str, Value] = {}

    def number(self, name: str) -> Value:
        """A size."""
        if name not in self._read:
            with self.b.goto_entry_block():
                place = self.b.gep(self.arguments, [self.integer(self.slots[name])], source_etype=I64)
                self._read[name] = self.b.load(place, typ=I64)
        return self._read[name]

    def pointer(self, name: str) -> Value:
        """An array."""
        key = f"*{name}"
        if key not in self._read:
            number = self.number(name)
            with self.b.goto_entry_block():
                self._read[key] = self.b.inttoptr(number, POINTER)
        return self._read[key]

    def given(self, name: str) -> Value:
        """Whether the caller passed an array, or wants a result."""
        return self.b.icmp_signed("!=", self.number(name), self.integer(0))

    def load_integer(self, pointer: Value, place: Value) -> Value:
        """One of an array of 64-bit integers."""
        return self.b.load(self.b.gep(pointer, [place], source_etype=I64), typ=I64)


class ArgumentFrame(ArrayFrame):
    """A function ``name(arguments, ...)`` that returns nothing.

    Parameters
    ----------
    slots : mapping of str to int
        Place of each name in the argument array of 64-bit integers.
    more : int
        64-bit integers passed beside the array.
    public : bool
        Called from outside the module.
    contract : bool
        See `Emitter`.
    """

    def __init__(
        self,
        module: Any,
        name: str,
        lanes: Lanes,
        slots: Mapping[str, int],
        more: int = 0,
        *,
        public: bool = False,
        contract: bool = True,
    ) -> None:
        function = ir.Function(module, ir.FunctionType(VOID, [POINTER] + [I64] * more), name)
        function.attributes.add("nounwind")
        if not public:
            function.linkage = "internal"
            function.attributes.add("noinline")
        super().__init__(function, lanes, slots, contract=contract)
