"""Whether several threads get a core each just now: asked in a third of a millisecond, before and after a sample."""

from __future__ import annotations

import ctypes
import threading
import time
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from benchmarks.probes import CHAINS, KIND_OF
from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.emitter import I64, POINTER, VOID, Emitter
from bptt.engine.compiled.llvm.machine_code import Kernel, load_kernels, new_module
from bptt.engine.compiled.llvm.target import host

# Steps of the work: on a core of today that is a quarter of a millisecond, less than a time slice.
STEPS = 120_000
# Looks at the others, some milliseconds, after which a thread no longer waits for them.
LOOKS = 10_000_000
TRIES = 25  # of one thread alone, the best of which is what a core can do

# Words of a thread's argument array: where its numbers lie, how many threads have come, how many there are, the
# address and the number of the clock, then seconds and nanoseconds of beginning and end.
_ROOM, _COME, _THREADS, _CLOCK, _WHICH, _BEGUN, _ENDED = 0, 1, 2, 3, 4, 5, 7


class CoreProbe:
    """So many threads at the same work at the same time, each with a clock of its own.

    All wait in machine code until the last has come, so neither waking a thread up nor the interpreter's lock counts.

    Parameters
    ----------
    threads : int

    Raises
    ------
    OSError
        The system has no clock that machine code can be given: two threads cannot be judged there.
    """

    def __init__(self, threads: int) -> None:
        self.threads, self.kernel = threads, _kernel()
        clock = _clock_address()
        self.come = np.zeros(8, np.int64)
        self.rooms = [np.full(64, 0.5, np.float32) for _ in range(threads)]
        self.words = np.zeros((threads, 16), np.int64)
        for words, room in zip(self.words, self.rooms, strict=True):
            words[:_BEGUN] = room.ctypes.data, self.come.ctypes.data, threads, clock, time.CLOCK_MONOTONIC
        self.begin = [threading.Semaphore(0) for _ in range(threads - 1)]
        self.end = threading.Semaphore(0)
        self.see_alone()
        for k in range(1, threads):
            threading.Thread(target=self._serve, args=(k,), daemon=True, name=f"probe-{k}").start()

    def see_alone(self) -> None:
        """Measure one thread alone: the clock of a core that was fast a minute ago may be slower now."""
        self.alone = min(self._measure_alone() for _ in range(TRIES))

    def cores(self) -> float:
        """Return how many cores' worth of work got done: for each thread, its time alone over its time among all."""
        self.come[0] = 0
        for semaphore in self.begin:
            semaphore.release()
        self._run(0)
        for _ in self.begin:
            self.end.acquire()
        # The least time that any work ever took is what a core can do: none counts as more than one.
        spent = self._spent()
        self.alone = min(self.alone, *spent)
        return sum(self.alone / seconds for seconds in spent)

    def _serve(self, k: int) -> None:
        while True:
            self.begin[k - 1].acquire()
            self._run(k)
            self.end.release()

    def _run(self, k: int) -> None:
        self.kernel(self.words[k].ctypes.data)

    def _spent(self) -> list[float]:
        """Return the seconds of each thread, from when all were there; one that waited in vain took for ever."""
        come = int(self.come[0]) >= self.threads
        begun = self.words[:, _BEGUN] * 1e9 + self.words[:, _BEGUN + 1]
        ended = self.words[:, _ENDED] * 1e9 + self.words[:, _ENDED + 1]
        return [(e - b) * 1e-9 if come else float("inf") for b, e in zip(begun, ended, strict=True)]

    def _measure_alone(self) -> float:
        self.come[0] = self.threads
        self._run(0)
        return self._spent()[0]


@cache
def _kernel() -> Kernel:
    return load_kernels(f"probe: cores {STEPS} {LOOKS}", ("cores",), _emit)["cores"]


def _clock_address() -> int:
    function = getattr(ctypes.CDLL(None), "clock_gettime", None)
    if function is None:
        raise OSError("clock_gettime is not to be had")
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _emit(prefix: str) -> Any:
    module = new_module("cores")
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER]), f"{prefix}cores")
    e = Emitter(function, lanes_of(KIND_OF["float32"], host()))
    words = function.args[0]

    def word(k: int) -> Any:
        return e.b.load(e.b.gep(words, [e.integer(k)], source_etype=I64), typ=I64)

    def note(k: int) -> None:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32), POINTER])
        clock = e.b.inttoptr(word(_CLOCK), kind.as_pointer())
        which = e.b.trunc(word(_WHICH), ir.IntType(32))
        e.b.call(clock, [which, e.b.gep(words, [e.integer(k)], source_etype=I64)])

    come, threads = e.b.inttoptr(word(_COME), POINTER), word(_THREADS)
    e.b.atomic_rmw("add", come, e.integer(1), "acq_rel")
    looks = e.variable(e.integer(0))
    again, there = function.append_basic_block("again"), function.append_basic_block("there")
    e.b.branch(again)
    e.b.position_at_end(again)
    e.write(e.plus(e.read(looks, I64), e.integer(1)), looks)
    all_there = e.b.icmp_signed(">=", e.b.load_atomic(come, "acquire", 8, typ=I64), threads)
    in_vain = e.b.icmp_signed(">", e.read(looks, I64), e.integer(LOOKS))
    e.b.cbranch(e.b.or_(all_there, in_vain), there, again)
    e.b.position_at_end(there)
    note(_BEGUN)
    place = e.b.inttoptr(word(_ROOM), POINTER)
    x = e.load(place)
    sums = [e.variable(e.load(place)) for _ in range(CHAINS)]
    with e.loop(e.integer(0), e.integer(STEPS)):
        for s in sums:
            e.write(e.fma(e.read(s, e.lanes.vector), x, x), s)
    for s in sums:
        e.store(e.add(e.load(place), e.read(s, e.lanes.vector)), place)
    note(_ENDED)
    e.b.ret_void()
    return module
