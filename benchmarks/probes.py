"""What the machine gives, measured in the run: multiply-adds of one core, and reading speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.emitter import I64, POINTER, VOID, Emitter
from bptt.engine.compiled.llvm.machine_code import load_kernels, new_module
from bptt.engine.compiled.llvm.target import host

CHAINS = 12  # sums at once: more than latency times units on any machine of today
KIND_OF = {"float32": "float", "float64": "double"}


class Peak:
    """The fused multiply-add peak of one core for a dtype."""

    def __init__(self, dtype: str, steps: int = 200_000) -> None:
        self.lanes, self.steps, self.dtype = lanes_of(KIND_OF[dtype], host()), steps, np.dtype(dtype)
        text = f"probe: peak {dtype} {CHAINS} {steps}"
        self.kernel = load_kernels(text, ("peak",), self._emit)["peak"]
        self.flops = 2.0 * self.lanes.count * CHAINS * steps

    def _emit(self, prefix: str) -> Any:
        module = new_module("peak")
        e = Emitter(ir.Function(module, ir.FunctionType(VOID, [POINTER]), f"{prefix}peak"), self.lanes)
        place = e.b.inttoptr(e.b.load(e.function.args[0], typ=I64), POINTER)
        x = e.load(place)
        sums = [e.variable(e.load(place)) for _ in range(CHAINS)]
        with e.loop(e.integer(0), e.integer(self.steps)):
            for s in sums:
                e.write(e.fma(e.read(s, self.lanes.vector), x, x), s)
        for s in sums:
            e.store(e.add(e.load(place), e.read(s, self.lanes.vector)), place)
        e.b.ret_void()
        return module

    def _run(self, times: int) -> None:
        room = np.full(self.lanes.count, 0.5, self.dtype)
        argument = np.array([room.ctypes.data], np.int64)
        for _ in range(times):
            self.kernel(argument.ctypes.data)

    def measure(self, repeats: int = 3) -> float:
        """Return multiply-adds, times two, a second."""
        return self.flops / min(_seconds(lambda: self._run(1)) for _ in range(repeats))


class Bandwidth:
    """How fast one core reads an array again and again, by the array's size."""

    def __init__(self) -> None:
        self.lanes = lanes_of("float", host())
        self.kernel = load_kernels("probe: read", ("read",), self._emit)["read"]

    def _emit(self, prefix: str) -> Any:
        module = new_module("read")
        e = Emitter(ir.Function(module, ir.FunctionType(VOID, [POINTER]), f"{prefix}read"), self.lanes)
        argument = e.function.args[0]
        place = e.b.inttoptr(e.b.load(argument, typ=I64), POINTER)
        count, times = (
            e.b.load(e.b.gep(argument, [e.integer(k)], source_etype=I64), typ=I64) for k in (1, 2)
        )
        sums = [e.variable(e.const(0.0)) for _ in range(CHAINS)]
        with (
            e.loop(e.integer(0), times),
            e.loop(e.integer(0), count, e.integer(CHAINS * self.lanes.count)) as first,
        ):
            for k, s in enumerate(sums):
                row = e.load(e.at(place, e.plus(first, e.integer(k * self.lanes.count))))
                e.write(e.add(e.read(s, self.lanes.vector), row), s)
        for s in sums:
            e.store(e.add(e.load(place), e.read(s, self.lanes.vector)), place)
        e.b.ret_void()
        return module

    @cache  # noqa: B019  # one probe a run
    def measure(self, size: int) -> float:
        """Return bytes a second for a working set of `size` bytes."""
        stride = CHAINS * self.lanes.count
        count = max(1, round(size / 4 / stride)) * stride
        room = np.zeros(count, np.float32)
        times = max(1, int(2e8 / room.nbytes))
        argument = np.array([room.ctypes.data, count, times], np.int64)
        self.kernel(argument.ctypes.data)
        best = min(_seconds(lambda: self.kernel(argument.ctypes.data)) for _ in range(5))
        return times * room.nbytes / best


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
