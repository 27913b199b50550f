"""Threads that share one pass of the engine, and that wait for the next one meanwhile.

Workers are plain Python threads which run machine code and let go of the interpreter's lock. Posting a job wakes some
of them; the caller begins at once and would finish alone if nobody came, so it never waits for a thread to wake up.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from queue import SimpleQueue
from typing import Any

import numpy as np

from bptt.engine.compiled import team_kernels as words
from bptt.engine.compiled.team_kernels import team_kernels
from bptt.engine.compiled.workspace import address


@dataclass(frozen=True)
class Phase:
    """Calls of one kernel on ranges that together cover 0..end; they may run at the same time.

    Attributes
    ----------
    kernel : int
        Its address.
    arguments : int
        Address of the caller's argument array.
    apart : int
        How far (bytes) the next member's array lies from it. They differ in where scratch memory lies.
    slot : int
        Where in the argument array the kernel reads the range's first number; its end is in the slot after that. -1:
        it is called as it is, once.
    step, end : int
        Ranges are 0..step, step..2 step, ..., up to end.
    rounds : int
        All ranges are gone through so often; if there are several, the second slot after `slot` holds the round.
    """

    kernel: int
    arguments: int
    apart: int = 0
    slot: int = -1
    step: int = 1
    end: int = 1
    rounds: int = 1

    @property
    def pieces(self) -> int:
        """How many ranges."""
        return -(-self.end // self.step)


class Job:
    """A list of phases, and the memory that they work on, which lives at least as long as this.

    Parameters
    ----------
    phases : sequence of Phase
    members : int
        Threads at most.
    repeats : int
        How often the whole list is gone through.
    flag : int
        Address of an integer that ends the list once it is not 0; 0: none.
    kept : sequence
        Whatever must not be freed meanwhile.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        members: int,
        *,
        repeats: int = 1,
        flag: int = 0,
        kept: Sequence[Any] = (),
    ) -> None:
        claims = words.TABLE + words.RECORD * len(phases)
        claims += -claims % words.LINE
        pieces = sum(phase.pieces for phase in phases)
        # One line more, for the start on a line of its own.
        room = np.zeros(claims + words.LINE * (pieces + 1), np.int64)
        self.words = at = room[-(address(room) // 8) % words.LINE :]
        self.members = members
        self.kept = tuple(kept)
        self.error: BaseException | None = None
        at[words.YIELD], at[words.MEMBERS], at[words.PHASES] = _yield_address(), members, len(phases)
        at[words.REPEATS], at[words.FLAG] = repeats, flag
        at[words.TOTAL] = sum(phase.pieces * phase.rounds for phase in phases)
        for k, phase in enumerate(phases):
            start = words.TABLE + words.RECORD * k
            at[start : start + words.RECORD] = (
                phase.kernel, phase.arguments, phase.apart, phase.slot, phase.step, phase.end, phase.pieces, claims,
                phase.rounds,
            )  # fmt: skip
            claims += words.LINE * phase.pieces

    def join(self) -> None:
        """Help, as a worker."""
        team_kernels()["join"](address(self.words))

    def lead(self) -> None:
        """Work until all is done and every worker has left."""
        team_kernels()["lead"](address(self.words))


class _Pool:
    """The process's workers. Several Python threads may post jobs at once; a job that is over is passed by."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.workers: list[threading.Thread] = []

    def post(self, job: Job, workers: int) -> None:
        """Ask so many workers to join."""
        if len(self.workers) < workers:
            self._grow(workers)
        for _ in range(workers):
            self.jobs.put(job)

    def end(self) -> None:
        """Let the workers come to their end, and wait for it."""
        with self.lock:
            workers, self.workers = self.workers, []
        for _ in workers:
            self.jobs.put(None)
        for worker in workers:
            worker.join()

    def _grow(self, workers: int) -> None:
        with self.lock:
            while len(self.workers) < workers:
                worker = threading.Thread(
                    target=_serve, args=(self.jobs,), name=f"bptt-{len(self.workers) + 1}", daemon=True
                )
                try:
                    worker.start()
                except RuntimeError:  # the system gives no more threads, or the interpreter is ending
                    return
                self.workers.append(worker)


def _serve(jobs: SimpleQueue[Job | None]) -> None:
    while True:
        job = jobs.get()
        if job is None:
            return
        try:
            job.join()
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is the caller's
            job.error = error
        del job  # or the arrays of the last job would live until the next one


_pool = _Pool()
atexit.register(lambda: _pool.end())


def _forget() -> None:
    """In a forked child there are no workers, and the lock may have been held by a thread that is not there."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run_together(job: Job) -> None:
    """Run a job, the pieces of each phase shared among the caller and waiting workers."""
    try:
        _pool.post(job, job.members - 1)
    finally:
        # An interruption may have come when workers were at it already: the memory is theirs until all is done.
        job.lead()
    if job.error is not None:
        raise job.error


@cache
def _yield_address() -> int:
    """Address of the system's function that lets other threads run; 0 if there is none."""
    try:
        if sys.platform == "win32":
            function: Any = ctypes.WinDLL("kernel32").SwitchToThread
        else:
            function = ctypes.CDLL(None).sched_yield
    except (OSError, AttributeError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0
