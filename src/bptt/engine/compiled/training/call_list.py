"""A list of kernel calls that machine code runs through many times: whole training steps without Python between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from bptt.engine.compiled.llvm.arguments import ArgumentFrame
from bptt.engine.compiled.llvm.emitter import I64, POINTER, VOID, Lanes
from bptt.engine.compiled.llvm.machine_code import Kernel, kernel_address, load_kernels, new_module
from bptt.engine.compiled.threads.sharing import count_members
from bptt.engine.compiled.threads.team import Job, Phase, finish_interrupted, run_together
from bptt.engine.compiled.workspace import address

_SLOTS = {name: k for k, name in enumerate(("calls", "count", "control"))}

# Places in a list's control array, which its kernels may read and `flag` of which they may set.
STEP, END, FLAG = range(3)


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel and the argument array that it is called with; `kept` is what must stay alive meanwhile.

    Threads may share what it does if `most` is above 1: `share` says how, for a number of them.
    """

    kernel: Kernel
    arguments: npt.NDArray[np.int64]
    kept: object = None
    most: int = 1
    share: Callable[[int], list[Phase]] | None = None

    def phases(self, members: int) -> list[Phase]:
        """Return the call as phases of a job."""
        if self.share is not None:
            return self.share(members)
        return [Phase(kernel_address(self.kernel), address(self.arguments))]


class Control:
    """Where a list of calls stands: three integers that Python and kernels share.

    `step` counts whole steps made; a kernel that sets `flag` ends the list there, within its step.
    """

    def __init__(self) -> None:
        self.array = np.zeros(3, np.int64)
        self.address = address(self.array)

    @property
    def step(self) -> int:
        """Whole steps made so far."""
        return int(self.array[STEP])

    @property
    def flag(self) -> int:
        """Why the list stopped; 0 where it did not."""
        return int(self.array[FLAG])


class CallList:
    """Calls in order.

    Parameters
    ----------
    calls : sequence of Call
    control : Control
        Shared with the kernels that want to know the step.
    """

    def __init__(self, calls: Sequence[Call], control: Control) -> None:
        self.calls = tuple(calls)
        self.control = control
        pairs = [(kernel_address(call.kernel), address(call.arguments)) for call in self.calls]
        self._pairs = np.array(pairs, np.int64).reshape(-1, 2)
        self._arguments = np.array([address(self._pairs), len(self.calls), control.address], np.int64)
        self._address = address(self._arguments)
        self._play = _player()
        self._most = max((call.most for call in self.calls), default=1)

    def play(self, steps: int) -> int:
        """Run `steps` times through the list, or until a kernel sets the flag; return the flag."""
        array = self.control.array
        array[END] = array[STEP] + steps
        array[FLAG] = 0
        members = count_members(self._most)
        if members > 1:
            self._play_together(steps, members)
        else:
            self._play(self._address)
        return int(array[FLAG])

    def _play_together(self, steps: int, members: int) -> None:
        finish_interrupted()  # or its workers would read what is written here
        phases = [phase for call in self.calls for phase in call.phases(members)]
        advance = Phase(kernel_address(_advance()), self._address)
        flag = self.control.address + FLAG * self.control.array.itemsize
        run_together(Job([*phases, advance], members, repeats=steps, flag=flag, kept=[self]))


def _player() -> Kernel:
    return _kernels()["play"]


def _advance() -> Kernel:
    return _kernels()["advance"]


@cache
def _kernels() -> dict[str, Kernel]:
    return load_kernels("call list", ("play", "advance"), _emit)


def _emit(prefix: str) -> Any:
    module = new_module("bptt")
    _emit_advance(module, prefix)
    e = ArgumentFrame(module, f"{prefix}play", Lanes("float", 4), _SLOTS, public=True)
    control, calls, zero = e.pointer("control"), e.pointer("calls"), e.integer(0)
    kind = ir.FunctionType(VOID, [POINTER])

    def place(which: int) -> Any:
        return e.b.gep(control, [e.integer(which)], source_etype=I64)

    first, end, count = e.b.load(place(STEP), typ=I64), e.b.load(place(END), typ=I64), e.number("count")
    with e.loop(first, end) as step:
        with e.loop(zero, count) as c:
            pair = e.b.gep(calls, [e.times(c, e.integer(2))], source_etype=I64)
            kernel = e.b.inttoptr(e.b.load(pair, typ=I64), kind.as_pointer())
            arguments = e.b.load(e.b.gep(pair, [e.integer(1)], source_etype=I64), typ=I64)
            e.b.call(kernel, [e.b.inttoptr(arguments, POINTER)])
            stopped = e.b.icmp_signed("!=", e.b.load(place(FLAG), typ=I64), zero)
            with e.when(stopped):
                e.b.ret_void()
                e.b.position_at_end(e.function.append_basic_block("unreached"))
        e.b.store(e.plus(step, e.integer(1)), place(STEP))
    e.b.ret_void()
    return module


def _emit_advance(module: Any, prefix: str) -> None:
    """Count a step: the last call of a list that threads share."""
    e = ArgumentFrame(module, f"{prefix}advance", Lanes("float", 4), _SLOTS, public=True)
    place = e.b.gep(e.pointer("control"), [e.integer(STEP)], source_etype=I64)
    e.b.store(e.plus(e.b.load(place, typ=I64), e.integer(1)), place)
    e.b.ret_void()
