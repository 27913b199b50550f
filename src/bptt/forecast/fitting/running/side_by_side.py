"""Jobs on several threads: trained networks do not wait for each other, and Ctrl-C ends them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from bptt.engine.threads import available_cpus
from bptt.forecast.fitting.networks.members import Tick

T = TypeVar("T")

# Called with updates made and updates to make, of all jobs together.
Notify = Callable[[int, int], None]


class Stopped(Exception):
    """The jobs were called off: no error, a sign that goes through a training loop."""


class Meter:
    """Counts the updates of all jobs and passes them on."""

    def __init__(self, total: int, notify: Notify) -> None:
        self.total, self.notify = total, notify
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self._done: dict[object, int] = {}

    @property
    def done(self) -> int:
        """Updates made so far."""
        return sum(self._done.values())

    def finish(self) -> None:
        """Tell that all is done, also where validation has spared some of it."""
        self.notify(self.total, self.total)

    def tick(self, weight: float | None = None) -> Tick:
        """Return what one job calls; with a weight its updates count as shares of that."""
        key = object()

        def told(made: int, of: int) -> None:
            if self.stop.is_set():
                raise Stopped
            with self._lock:
                self._done[key] = made if weight is None else round(weight * made / max(1, of))
                self.notify(min(self.total, self.done), self.total)

        return told


def run_jobs(jobs: Sequence[Callable[[], T]], meter: Meter, threads: int | None) -> list[T]:
    """Return what the jobs return, in their order; the first error, or Ctrl-C, ends the others."""
    workers = min(len(jobs), threads or available_cpus())
    if workers <= 1:
        return [job() for job in jobs]
    with ThreadPoolExecutor(workers) as pool:
        return run_in(pool, jobs, meter)


def run_in(pool: ThreadPoolExecutor, jobs: Sequence[Callable[[], T]], meter: Meter) -> list[T]:
    """Return what the jobs return from a pool's threads, as `run_jobs` does; none runs on after an error."""
    futures: list[Future[T]] = []
    try:
        futures += [pool.submit(job) for job in jobs]
        wait(futures, return_when=FIRST_EXCEPTION)
        failed = next((f for f in futures if f.done() and f.exception() is not None), None)
        if failed is not None:
            raise failed.exception() or Stopped
    except BaseException:
        meter.stop.set()
        for future in futures:
            future.cancel()
        wait(futures)
        raise
    return [future.result() for future in futures]
