"""The engines' processes, seen from the harness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines import ENGINES
from benchmarks.jobs import Arrays
from benchmarks.timing import Sample, chunk_length

ROOT = Path(__file__).resolve().parent.parent
# What sizes the pools of OpenMP, OpenBLAS, MKL, XLA and ours.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC", "BPTT_NUM_THREADS")


class Missing(Exception):
    """An engine that is not installed, or cannot do a task; the text says which."""


class Worker:
    """One engine in a process of its own.

    Parameters
    ----------
    engine : str
        A key of `ENGINES`.
    threads : int
        What its pools are sized for.
    dtype : str
        JAX has float64 only where it is told beforehand.
    urgent : bool
        Whether it comes before everybody else on the machine while it works: see `worker.hurry`.

    Raises
    ------
    Missing
        The library is not installed.
    """

    def __init__(self, engine: str, threads: int, dtype: str, *, urgent: bool = False) -> None:
        self.engine, self.threads, self.dtype = engine, threads, dtype
        self.title = ENGINES[engine][1]
        environment = {
            **os.environ,
            **dict.fromkeys(THREAD_VARIABLES, str(threads)),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        if dtype == "float64":
            environment["JAX_ENABLE_X64"] = "1"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", engine, *(["urgent"] if urgent else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.folder = tempfile.TemporaryDirectory(prefix="bptt-bench-")
        greeting = self.ask(do="hello")
        if "missing" in greeting:
            self.close()
            raise Missing(greeting["missing"])
        self.version: str = greeting["version"]

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Missing(f"its process ended with {self.process.wait()}")
        return json.loads(line)

    def prepare(self, kind: str, job: str, cell: str, threads: int, rows: int | None = None) -> Handle:
        """Set up a task and return it with what it computes from the starting weights.

        Raises
        ------
        Missing
            The engine cannot do it.
        """
        key = f"{kind} {job} {cell} {threads} {rows}"
        path = Path(self.folder.name) / "found.npz"
        answer = self.ask(
            do="prepare",
            key=key,
            kind=kind,
            job=job,
            cell=cell,
            dtype=self.dtype,
            rows=rows,
            threads=threads,
            to=str(path),
        )
        if "absent" in answer:
            raise Missing(answer["absent"])
        with np.load(path) as found:
            return Handle(self, key, kind, threads, dict(found))

    def close(self) -> None:
        """End the process."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(timeout=30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.folder.cleanup()


class Handle:
    """A task in a worker; `steps` is how many are timed together."""

    def __init__(self, worker: Worker, key: str, kind: str, threads: int, found: Arrays) -> None:
        self.worker, self.key, self.kind, self.threads, self.found = worker, key, kind, threads, found
        self.steps = 1

    def measure(self, steps: int | None = None) -> tuple[float, float]:
        """Run, and return the seconds a step and the cores that were at work."""
        count = self.steps if steps is None else steps
        answer = self.worker.ask(do="run", key=self.key, steps=count)
        return answer["seconds"] / count, answer["cores"]

    def watch(self, count: int, threads: int) -> list[Sample]:
        """Take `count` samples of `steps` steps, in seconds a step, and ask for so many cores around each."""
        answer = self.worker.ask(do="watch", key=self.key, steps=self.steps, count=count, threads=threads)
        return [(seconds / self.steps, *cores) for seconds, *cores in answer["samples"]]

    def warm_up(self, budget: float) -> None:
        """Run until everything is compiled and allocated, and choose how many steps take `budget` seconds."""

        def processor_time(steps: int) -> float:
            # Of a machine that is busy with others elapsed time says little: the better of two tries.
            tries = [self.measure(steps) for _ in range(2)]
            return min(seconds * min(1.0, cores) for seconds, cores in tries) * steps

        self.measure(1)
        self.steps = chunk_length(processor_time, budget)

    def drop(self) -> None:
        """Let the worker forget the task."""
        self.worker.ask(do="drop", key=self.key)
