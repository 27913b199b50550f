"""Threads that share one pass of the engine, and that wait for the next one meanwhile.

Workers are plain Python threads that run machine code, without the interpreter's lock, as long as there is something
to do, and a fraction of a millisecond longer. The caller of a pass begins at once and would finish alone if nobody
came, so it never waits for a thread to wake up.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.engine.compiled.threads import team_kernels as words
from bptt.engine.compiled.threads.team_kernels import team_kernels
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
        self.owner, self.posted = threading.get_ident(), False
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

    def lead(self) -> None:
        """Work until all is done and every worker has left."""
        team_kernels()["lead"](address(self.words))


class _Worker:
    """A thread with a mailbox; `wake` is released once for each time that it is woken up."""

    def __init__(self, box: int, number: int, pool: _Pool) -> None:
        self.wake = threading.Lock()
        self.wake.acquire()
        self.words = np.array([box, _yield_address()], np.int64)
        self.pool = pool
        self.thread = threading.Thread(target=self._serve, name=f"bptt-{number}", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        serve, place = team_kernels()["serve"], address(self.words)
        while True:
            self.wake.acquire()
            if self.pool.ended:
                return
            serve(place)


class _Pool:
    """The process's workers. Several Python threads may post at once: each gets workers that have nothing to do."""

    MOST = 255

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.workers: list[_Worker] = []
        room = np.zeros(words.LINE * (self.MOST + 1), np.int64)
        self.boxes = room[-(address(room) // 8) % words.LINE :]
        self.ended = False
        self.running: dict[int, Job] = {}

    def post(self, job: Job) -> None:
        """Offer a job to as many workers as it has room for."""
        if len(self.workers) < job.members - 1:
            self._grow(job.members - 1)
        count = len(self.workers)
        woken = np.zeros(count, np.int64)
        at = job.words
        at[words.BOXES], at[words.WORKERS], at[words.WOKEN] = address(self.boxes), count, address(woken)
        try:
            team_kernels()["post"](address(at))
        finally:
            self._wake(woken)

    def _wake(self, woken: npt.NDArray[np.int64]) -> None:
        """Wake those workers that were parked, each once."""
        for k in woken.nonzero()[0]:
            with contextlib.suppress(RuntimeError):  # released before an interruption
                self.workers[k].wake.release()
            woken[k] = 0

    def end(self) -> None:
        """Let the workers come to their end, and wait for it."""
        self.ended = True
        for worker in self.workers:
            with contextlib.suppress(RuntimeError):  # it has just been woken up
                worker.wake.release()
        for worker in self.workers:
            worker.thread.join()

    def _grow(self, workers: int) -> None:
        with self.lock:
            while len(self.workers) < min(workers, self.MOST) and not self.ended:
                number = len(self.workers)
                try:
                    worker = _Worker(address(self.boxes) + 8 * words.LINE * number, number + 1, self)
                except RuntimeError:  # the system gives no more threads, or the interpreter is ending
                    return
                self.workers.append(worker)


_pool = _Pool()
atexit.register(lambda: _pool.end())


def _forget() -> None:
    """In a forked child there are no workers, and the lock may have been held by a thread that is not there."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run_together(job: Job) -> None:
    """Run a job, the pieces of each phase shared among the caller and waiting workers.

    An interruption is raised once all is done: the memory is the workers' until then. One that comes between two
    lines here leaves the job in `running`, for `finish_interrupted`.
    """
    finish_interrupted()
    pool, interrupted, done = _pool, None, False
    pool.running[id(job)] = job
    while not done:
        try:
            if not job.posted:
                job.posted = True
                pool.post(job)
            job.lead()  # a second time does no harm
            done = True
        except KeyboardInterrupt as error:
            interrupted = error
    del pool.running[id(job)]
    if interrupted is not None:
        raise interrupted


def finish_interrupted() -> None:
    """Lead to their end what an interruption of this thread left to the workers: they wait for it, in its memory."""
    if _pool.running:
        own = threading.get_ident()
        for key, job in list(_pool.running.items()):
            if job.owner == own:
                job.lead()
                _pool.running.pop(key, None)


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
