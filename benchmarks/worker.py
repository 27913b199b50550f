"""A process that holds one engine: it reads one JSON request a line, and answers with one.

{"do": "hello"}                                   {"version": ...} or {"missing": why}
{"do": "prepare", "key", "kind", "job", "cell",
 "dtype", "rows", "threads", "to"}                {"ready": true} or {"absent": why}; results in the .npz `to`
{"do": "run", "key", "steps"}                     {"seconds", "cores"}
{"do": "watch", "key", "steps", "count",
 "threads"}                                       {"samples": [[seconds, cores, given before, given after, taken], ...]}
{"do": "drop", "key"}                             {}

python -m benchmarks.worker pytorch
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from typing import Any

import numpy as np

from benchmarks.engines import ENGINES, Task
from benchmarks.jobs import EVERY_JOB, make_problem


class Host:
    """The engine's module and the tasks that it has been asked to keep."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.tasks: dict[str, Task] = {}
        self.probes: dict[int, Any] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked."""
        return getattr(self, "do_" + request.pop("do"))(**request)

    def do_hello(self) -> dict[str, Any]:
        try:
            self.module = importlib.import_module(ENGINES[self.engine][0])
            return {"version": self.module.version()}
        except ImportError as error:
            return {"missing": str(error)}

    def do_prepare(
        self, key: str, kind: str, job: str, cell: str, dtype: str, rows: int | None, threads: int, to: str
    ) -> dict[str, Any]:
        if kind not in self.module.KINDS:
            return {"absent": f"no task of the kind {kind!r}"}
        try:
            task = self.module.KINDS[kind](make_problem(EVERY_JOB[job], cell, dtype, rows), threads)
            np.savez(to, **task.found())
        except Exception as error:  # noqa: BLE001  # whatever a peer raises becomes a line of the table
            return {"absent": f"{type(error).__name__}: {error}"}
        self.tasks[key] = task
        return {"ready": True}

    def do_run(self, key: str, steps: int) -> dict[str, Any]:
        # Collections belong to what is timed only where the engine leaves rubbish; those of the harness do not.
        gc.collect()
        processor, begun = time.process_time(), time.perf_counter()
        counted = self.tasks[key].run(steps)
        elapsed, processor = time.perf_counter() - begun, time.process_time() - processor
        if counted is not None:  # a median of its own, which no disturbance reaches
            return {"seconds": counted, "cores": 1.0}
        return {"seconds": elapsed, "cores": processor / elapsed}

    def do_watch(self, key: str, steps: int, count: int, threads: int) -> dict[str, Any]:
        # Clocks and counts of POSIX systems.
        from benchmarks.core_probe import CoreProbe
        from benchmarks.watching import Watch, watch

        if threads not in self.probes:
            self.probes[threads] = CoreProbe(threads)
        gc.collect()
        self.probes[threads].see_alone()
        found = Watch(self.probes[threads].cores)
        watch(self.tasks[key], steps, count, found)
        return {"samples": found.samples}

    def do_drop(self, key: str) -> dict[str, Any]:
        self.tasks.pop(key, None)
        gc.collect()
        return {}


def hurry() -> None:
    """Come before every ordinary process of the machine, with all threads to come; needs the right to (Linux, root)."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def main() -> None:
    # Answers get a channel of their own: whatever a library prints goes to stderr.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if "urgent" in sys.argv[2:]:
        hurry()
    host = Host(sys.argv[1])
    for line in sys.stdin:
        answers.write(json.dumps(host.answer(json.loads(line))) + "\n")


if __name__ == "__main__":
    main()
