"""A function of a stream's kernels, with its part of the argument array at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llvmlite import ir

from bptt.engine.compiled.llvm.arguments import ArrayFrame
from bptt.engine.compiled.llvm.emitter import I64, POINTER, VOID, Lanes

I32 = ir.IntType(32)


class StreamFrame(ArrayFrame):
    """A function ``name(arguments, ...)`` that takes pointers too, and may return a number.

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
        super().__init__(function, lanes, slots)
