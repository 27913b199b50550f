"""Where the jobs of a fit run: threads of this process, an executor of `concurrent.futures`, or a Dask cluster.

Whoever fits says "run these jobs" and gets their results in order. A job is a function of a module and arguments that
pickle, so that it means the same in every process; what many jobs read, `Job.shared`, is apart from the rest, so that
it travels as rarely as the executor allows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput, WorkerLost
from bptt.forecast.fitting.networks.members import Tick
from bptt.forecast.fitting.running.side_by_side import Meter, run_in, run_jobs
from bptt.forecast.fitting.running.travelling import Answer, Job, Parcel, Watch, open_answer, pack, run_parcel

T = TypeVar("T")

# Jobs that take less than so many seconds are sent together: a task costs some milliseconds besides.
LEAST_SECONDS = 0.5
# How long jobs that were called off are waited for, seconds: each looks for the sign between two updates.
PATIENCE = 10.0

# Called with the number of a job and what it returned as soon as it is known here, from any thread.
Done = Callable[[int, Any], None]


class Workers(Protocol):
    """Who runs jobs.

    Attributes
    ----------
    apart : bool
        Whether a job is best left whole: a fold of a backtest is then one job, not the networks in it.
    """

    apart: bool

    def run(self, jobs: Sequence[Job[Any]], meter: Meter, done: Done | None = None) -> list[Any]:
        """Return what the jobs return, in their order; the first error, or Ctrl-C, ends the others."""


class Threads:
    """Threads of this process: the kernels run without Python's lock.

    Parameters
    ----------
    threads : int or None
        By default one for each processor.
    """

    apart = False

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads

    def run(self, jobs: Sequence[Job[Any]], meter: Meter, done: Done | None = None) -> list[Any]:
        """Return what the jobs return."""
        return run_jobs(_calls(jobs, meter, done), meter, self.threads)


class ThreadPool:
    """A pool of threads that somebody else keeps."""

    apart = True

    def __init__(self, pool: futures.ThreadPoolExecutor) -> None:
        self.pool = pool

    def run(self, jobs: Sequence[Job[Any]], meter: Meter, done: Done | None = None) -> list[Any]:
        """Return what the jobs return."""
        with _told_in_one_line():
            return run_in(self.pool, _calls(jobs, meter, done), meter)


class Processes:
    """Any other executor of `concurrent.futures`; what a job reads is pickled with it."""

    apart = True

    def __init__(self, pool: futures.Executor) -> None:
        self.pool = pool

    def run(self, jobs: Sequence[Job[Any]], meter: Meter, done: Done | None = None) -> list[Any]:
        """Return what the jobs return."""
        with tempfile.TemporaryDirectory(prefix="bptt-") as folder, _told_in_one_line():
            sign = Path(folder) / "stop"
            groups, sent = grouped(jobs), list[futures.Future[Answer]]()
            try:
                for group in groups:
                    parcel = pack([jobs[k] for k in group])
                    sent.append(self.pool.submit(run_there, parcel, jobs[group[0]].shared, str(sign)))
                pairs = zip(groups, sent, strict=True)
                return collect(jobs, meter, pairs, futures.as_completed(sent), done)
            except BaseException:
                sign.touch()
                for future in sent:
                    future.cancel()
                futures.wait(sent, PATIENCE)
                raise


def collect(
    jobs: Sequence[Job[Any]], meter: Meter, pairs: Any, finished: Iterator[Any], done: Done | None = None
) -> list[Any]:
    """Return the results of parcels in the order of the jobs, and tell of each as it comes."""
    of = {future: group for group, future in pairs}
    results: list[Any] = [None] * len(jobs)
    for future in finished:
        group = of[future]
        for k, result in zip(group, open_answer(future.result()), strict=True):
            results[k] = result
            if done is not None:
                done(k, result)
            meter.tick(jobs[k].updates)(1, 1)
    return results


def run_here(job: Job[T], tick: Tick) -> T:
    """Run a job in this thread; BLAS is held, so that its bits are those of every other place."""
    with one_blas_thread():
        return job.function(job.shared, *job.arguments, tick)


def _calls(jobs: Sequence[Job[Any]], meter: Meter, done: Done | None) -> list[Callable[[], Any]]:
    return [partial(_run_and_tell, k, job, meter.tick(job.updates), done) for k, job in enumerate(jobs)]


def _run_and_tell(number: int, job: Job[T], tick: Tick, done: Done | None) -> T:
    result = run_here(job, tick)
    if done is not None:
        done(number, result)
    return result


def run_there(parcel: Parcel, shared: object, sign: str) -> Answer:
    """Run a parcel in another process, until a file with that name appears on this machine, or its folder goes."""
    path = Path(sign)
    seen = path.parent.exists()  # of another machine it is not there to begin with
    return run_parcel(parcel, shared, Watch(lambda: path.parent.exists() == seen and not path.exists()))


def grouped(jobs: Sequence[Job[Any]]) -> list[list[int]]:
    """Return the numbers of the jobs that are sent together: neighbours that read the same, where each is short."""
    found: list[list[int]] = []
    for _, same in groupby(range(len(jobs)), key=lambda k: id(jobs[k].shared)):
        group, total = list[int](), 0.0
        for k in same:
            group.append(k)
            total += jobs[k].seconds
            if total >= LEAST_SECONDS:
                found.append(group)
                group, total = [], 0.0
        if group:
            found.append(group)
    return found


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    try:
        yield
    except futures.BrokenExecutor as error:
        raise WorkerLost(
            "executor must keep its workers. Got one that ended within a job (killed, or out of memory): "
            f"give a new executor with fewer workers ({type(error).__name__})"
        ) from error
    except RuntimeError as error:
        if "shutdown" not in str(error):
            raise
        raise InvalidInput("executor must be open. Got one that was shut down") from error
