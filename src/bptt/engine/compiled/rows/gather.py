"""Examples picked straight into lines of sequences: `gather_kernels` and the forward sweep's transposing in one.

The rows of an example's window lie one after the other, T * D numbers, and number t D + d belongs to line t D + d of
the input (T, D, S). So a batch of windows is one matrix to transpose, in full squares, whatever D is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.arguments import ArgumentFrame
from bptt.engine.compiled.llvm.machine_code import Kernel, load_kernels, new_module
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.training.call_list import STEP

# Example i of a batch is `count` numbers of `source` from row starts[indices[step - first, i]] on, `width` numbers a
# row; number n of it goes to target[n, i], lines of S numbers, and 0 to where no example is.
GATHER_LINES = {
    name: k
    for k, name in enumerate(
        ("control", "indices", "first", "starts", "source", "width", "count", "B", "target", "S")
    )
}


@cache
def gather_lines_kernel(kind: str) -> Kernel:
    """Return the kernel that gathers numbers of a dtype ("float" or "double")."""
    name = "gather_lines"
    return load_kernels(f"gather lines, {kind}", (name,), lambda prefix: _emit(prefix + name, kind))[name]


def _emit(name: str, kind: str) -> Any:
    module = new_module("bptt")
    lanes = lanes_of(kind, host())
    e = ArgumentFrame(module, name, lanes, GATHER_LINES, public=True)
    B, end, S, count = e.number("B"), e.number("count"), e.number("S"), e.integer(lanes.count)
    step = e.load_integer(e.pointer("control"), e.integer(STEP))
    batch = e.times(e.b.sub(step, e.number("first")), B)
    with e.loop(e.integer(0), B, count) as r:
        # Beyond the last example it is read again, and left out.
        last, present = e.b.sub(B, e.integer(1)), e.below(r, B)
        rows = []
        for i in range(lanes.count):
            index = e.load_integer(
                e.pointer("indices"), e.plus(batch, e.least(e.plus(r, e.integer(i)), last))
            )
            rows.append(
                e.at(
                    e.pointer("source"),
                    e.times(e.load_integer(e.pointer("starts"), index), e.number("width")),
                )
            )
        with e.loop(e.integer(0), end, count) as n:
            mask = e.below(n, end)
            for i, line in enumerate(e.transpose([e.load_masked(e.at(row, n), mask) for row in rows])):
                number = e.plus(n, e.integer(i))
                with e.when(e.b.icmp_signed("<", number, end)):
                    place = e.at(e.pointer("target"), e.plus(e.times(number, S), r))
                    e.store(e.select(present, line, e.const(0)), place)
    e.b.ret_void()
    return module
