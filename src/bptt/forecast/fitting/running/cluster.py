"""Jobs on a Dask cluster: what they share is sent to the workers once, and a worker that dies changes nothing.

Dask starts the tasks of a dead worker again elsewhere. What it cannot bring back is data that were scattered to the
workers and died with them; those are still here, and are sent again, with the tasks that waited for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from bptt.errors import InvalidInput, LibraryMissing, WorkerLost
from bptt.forecast.fitting.running.executors import Done, Workers, grouped
from bptt.forecast.fitting.running.side_by_side import Meter, Stopped
from bptt.forecast.fitting.running.travelling import (
    Answer,
    Job,
    Parcel,
    Watch,
    check_version,
    open_answer,
    pack,
    run_parcel,
    surroundings,
)

# How often the same jobs are sent again before the cluster is given up, and how long a worker is waited for, seconds.
_TRIES, _PATIENCE = 10, 60


@contextmanager
def open_cluster(executor: Any) -> Iterator[Workers]:
    """Give a cluster by its client, or by the address of its scheduler.

    Raises
    ------
    LibraryMissing
        Dask is not installed.
    InvalidInput
        Nobody answers, or a worker has another version of bptt.
    WorkerLost
        There is no worker.
    """
    try:
        from distributed import Client
    except ImportError:
        raise LibraryMissing(
            "executor needs Dask, as it is the address of a scheduler. Got none: pip install 'bptt[dask]'"
        ) from None
    if not isinstance(executor, str):
        _check(executor)
        yield Cluster(executor)
        return
    try:
        client = Client(executor, set_as_default=False)
    except (OSError, ValueError) as error:  # OSError: a timeout is one
        raise InvalidInput(
            f"executor must be the address of a Dask scheduler that answers. Got {executor!r}"
        ) from error
    with client:
        _check(client)
        yield Cluster(client)


class Cluster:
    """The workers of a Dask cluster.

    Parameters
    ----------
    client : dask.distributed.Client
    """

    apart = True

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, jobs: Sequence[Job[Any]], meter: Meter, done: Done | None = None) -> list[Any]:
        """Return what the jobs return."""
        return _Run(self.client, jobs, meter, done).results()


class _Run:
    """One list of jobs under way."""

    def __init__(self, client: Any, jobs: Sequence[Job[Any]], meter: Meter, done: Done | None) -> None:
        from distributed import as_completed

        self.client, self.jobs, self.meter, self.done = client, jobs, meter, done
        self.finished = as_completed(loop=client.loop)  # else it looks for a default client
        # By task: the numbers of its jobs, and how often they were sent before.
        self.sent: dict[Any, tuple[list[int], int]] = {}
        # What jobs share, by its identity.
        self.shelf: dict[int, Any] = {}

    def results(self) -> list[Any]:
        """Send all and return the results."""
        found: list[Any] = [None] * len(self.jobs)
        try:
            for group in grouped(self.jobs):
                self.send(group, 0)
            for future in self.finished:
                group, tries = self.sent.pop(future)
                answer = self.result(future)
                if answer is None:
                    self.send(group, tries + 1)
                    continue
                for k, result in zip(group, open_answer(answer), strict=True):
                    found[k] = result
                    if self.done is not None:
                        self.done(k, result)
                    self.meter.tick(self.jobs[k].updates)(1, 1)
        except BaseException:
            self.client.cancel(list(self.sent), force=True)
            raise
        return found

    def send(self, group: list[int], tries: int) -> None:
        """Give some jobs to the scheduler."""
        if tries >= _TRIES:
            raise WorkerLost(
                f"executor must keep a worker until a job is done. Got {tries} times one that was lost: look whether "
                "its memory is enough for the job"
            )
        jobs = [self.jobs[k] for k in group]
        future = self.client.submit(
            run_on_worker,
            pack(jobs),
            self.shelved(jobs[0].shared),
            # The name on the dashboard, by which the scheduler also learns how long such a task takes.
            key=f"bptt_{jobs[0].function.__name__.strip('_')}-{uuid4().hex}",
            pure=False,
        )
        self.sent[future] = group, tries
        self.finished.add(future)

    def shelved(self, shared: object) -> Any:
        """Return the handle of what jobs share; sent to a worker if it is nowhere, from where others fetch it."""
        handle = self.shelf.get(id(shared))
        for _ in range(_TRIES):
            if handle is not None and handle.status == "finished":
                return handle
            _wait_for_a_worker(self.client)
            with suppress(OSError):  # the worker that was to hold it has just died
                # In a list: of a tuple the parts would be sent.
                handle = self.shelf[id(shared)] = self.client.scatter([shared], hash=False)[0]
        raise WorkerLost(f"executor must have a worker that takes data. Got none in {_TRIES} tries")

    def result(self, future: Any) -> Answer | None:
        """Return what a task returned; None where it was lost with its worker."""
        from distributed import CancelledError, KilledWorker

        try:
            answer: Answer = future.result()
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "bptt":
                raise
            check_version(surroundings()["bptt"], None)
            raise
        except (CancelledError, KilledWorker, Stopped):
            if self.client.status != "running":
                raise WorkerLost("executor must stay connected. Got a client that was closed") from None
            return None
        return answer


def run_on_worker(parcel: Parcel, shared: object) -> Answer:
    """Run a parcel on a worker of Dask, until its task is cancelled."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state != "cancelled"

    return run_parcel(parcel, shared, Watch(wanted))


def _check(client: Any) -> None:
    """Refuse a client that cannot be used, and workers of another version."""
    if client.asynchronous:
        raise InvalidInput(
            "executor must be a client that waits. Got an asynchronous one: make it with asynchronous=False"
        )
    if client.status != "running":
        raise InvalidInput(f"executor must be connected. Got a client that is {client.status}")
    _wait_for_a_worker(client)
    own = surroundings()["bptt"]
    for address, found in client.get_versions(packages=["bptt"])["workers"].items():
        there = found["packages"].get("bptt") if found else None
        # A source tree that was never installed has no version to compare.
        if own != "unknown":
            check_version(own, there, address)


def _wait_for_a_worker(client: Any) -> None:
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError:
        raise WorkerLost(f"executor must have a worker. Got none within {_PATIENCE} s") from None
