"""Examples picked out of arrays that stay where they are: windows are never copied out whole."""

from __future__ import annotations

from functools import cache
from typing import Any

from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.arguments import ArgumentFrame
from bptt.engine.compiled.llvm.machine_code import Kernel, load_kernels, new_module
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.training.call_list import STEP

# Example i of a batch is `T` rows of `source` from row starts[indices[step - first, i]] on, `width` numbers a row.
# A call gathers those from first_row to end_row.
GATHER = {
    name: k
    for k, name in enumerate(
        (
            "control",
            "indices",
            "first",
            "starts",
            "source",
            "width",
            "T",
            "B",
            "first_row",
            "end_row",
            "target",
            "target_t",
            "target_b",
        )
    )
}

# Rows before its turn that one is asked for.
AHEAD = 4


@cache
def gather_kernel(kind: str) -> Kernel:
    """Return the kernel that gathers numbers of a dtype ("float", "double"); 64-bit labels travel as doubles."""
    return load_kernels(f"gather, {kind}", ("gather",), lambda prefix: _emit(prefix, kind))["gather"]


def _emit(prefix: str, kind: str) -> Any:
    module = new_module("bptt")
    lanes = lanes_of(kind, host())
    e = ArgumentFrame(module, f"{prefix}gather", lanes, GATHER, public=True)
    width, T = e.number("width"), e.number("T")
    step = e.load_integer(e.pointer("control"), e.integer(STEP))
    batch = e.times(e.b.sub(step, e.number("first")), e.number("B"))
    # Row by row of all examples, as they are written: example by example, a batch would be written in far pieces, which
    # takes twice the time. What is read is then in far pieces, and is asked for some rows before.
    with e.loop(e.integer(0), T) as t, e.loop(e.number("first_row"), e.number("end_row")) as b:
        index = e.load_integer(e.pointer("indices"), e.plus(batch, b))
        row = e.plus(e.load_integer(e.pointer("starts"), index), t)
        source = e.at(e.pointer("source"), e.times(row, width))
        coming = e.at(source, e.times(e.integer(AHEAD), width))
        target = e.plus(e.times(t, e.number("target_t")), e.times(b, e.number("target_b")))
        there = e.at(e.pointer("target"), target)
        with e.loop(e.integer(0), width, e.integer(lanes.count)) as j:
            mask = e.below(j, width)
            e.prefetch(e.at(coming, j))
            e.store_masked(e.load_masked(e.at(source, j), mask), e.at(there, j), mask)
    e.b.ret_void()
    return module
