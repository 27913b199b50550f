"""Rows of numbers copied from one layout to another."""

from __future__ import annotations

from functools import cache
from typing import Any

from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.arguments import ArgumentFrame
from bptt.engine.compiled.llvm.emitter import I64
from bptt.engine.compiled.llvm.machine_code import Kernel, load_kernels, new_module
from bptt.engine.compiled.llvm.target import host

# M rows of N numbers from `source` to `target`, `lds` and `ldt` numbers apart; `columns` are those to pick.
COPY = {name: k for k, name in enumerate(("M", "N", "source", "lds", "target", "ldt", "columns"))}


@cache
def row_kernels(kind: str) -> dict[str, Kernel]:
    """Return ``copy_rows``, and ``pick_columns``: target[m, n] = source[m, columns[n]]."""
    return load_kernels(f"rows, {kind}", ("copy_rows", "pick_columns"), lambda prefix: _emit(prefix, kind))


def _emit(prefix: str, kind: str) -> Any:
    module = new_module("bptt")
    lanes = lanes_of(kind, host())
    sizes = ("M", "N", "lds", "ldt")
    for name in ("copy_rows", "pick_columns"):
        e = ArgumentFrame(module, prefix + name, lanes, COPY, public=True)
        M, N, lds, ldt = (e.number(each) for each in sizes)
        with e.loop(e.integer(0), M) as m:
            source, target = (
                e.at(e.pointer("source"), e.times(m, lds)),
                e.at(e.pointer("target"), e.times(m, ldt)),
            )
            if name == "copy_rows":
                with e.loop(e.integer(0), N, e.integer(lanes.count)) as n:
                    mask = e.below(n, N)
                    e.store_masked(e.load_masked(e.at(source, n), mask), e.at(target, n), mask)
            else:
                with e.loop(e.integer(0), N) as n:
                    column = e.b.load(e.b.gep(e.pointer("columns"), [n], source_etype=I64), typ=I64)
                    e.store(e.load_scalar(e.at(source, column)), e.at(target, n))
        e.b.ret_void()
    return module
