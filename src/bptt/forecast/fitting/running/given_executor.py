"""From what a user gives as executor to whoever runs the jobs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager

from bptt.errors import InvalidType
from bptt.forecast.fitting.running.cluster import open_cluster
from bptt.forecast.fitting.running.executors import Processes, ThreadPool, Threads, Workers


@contextmanager
def open_workers(executor: object, threads: int | None = None) -> Iterator[Workers]:
    """Give whoever an executor stands for.

    Parameters
    ----------
    executor : None, concurrent.futures.Executor, dask.distributed.Client or str
        None: threads of this process. A text is the address of a Dask scheduler, for this one use.
    threads : int, optional
        Of this process, where it is None.

    Raises
    ------
    InvalidType
        Anything else.
    InvalidInput, LibraryMissing
        A cluster that cannot be reached or has another version of bptt; Dask is not installed.
    """
    if executor is None:
        yield Threads(threads)
    elif isinstance(executor, futures.ThreadPoolExecutor):
        yield ThreadPool(executor)
    elif isinstance(executor, futures.Executor):
        yield Processes(executor)
    elif isinstance(executor, str) or _is_client(executor):
        with open_cluster(executor) as workers:
            yield workers
    else:
        raise InvalidType(
            "executor must be None, a concurrent.futures.Executor, a dask.distributed.Client or the address of a "
            f"Dask scheduler. Got {type(executor).__name__}"
        )


def _is_client(executor: object) -> bool:
    """Return whether this is a client of Dask, without loading Dask."""
    return any(
        each.__name__ == "Client" and each.__module__.partition(".")[0] == "distributed"
        for each in type(executor).__mro__
    )
