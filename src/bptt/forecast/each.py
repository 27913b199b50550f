"""A model for each of many tables: a million series in shards, each a task of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count, islice

import numpy as np

from bptt.checks import check_whole
from bptt.errors import BpttError, InvalidType
from bptt.forecast.asking import Asked
from bptt.forecast.fitting.networks.members import Tick
from bptt.forecast.fitting.running.given_executor import open_workers
from bptt.forecast.fitting.running.progress import show_progress
from bptt.forecast.fitting.running.side_by_side import Meter
from bptt.forecast.fitting.running.travelling import Job
from bptt.forecast.forecaster import Forecaster

# What a table counts for in the progress.
_PARTS = 1000


def fit_each(
    forecaster: Forecaster,
    frames: Iterable[object],
    *,
    executor: object = None,
    at_once: int = 256,
    progress: object = None,
) -> Iterator[Forecaster]:
    """Fit a forecaster of these settings to each of many tables, and yield them in the order of the tables.

    Parameters
    ----------
    forecaster : Forecaster
        Its settings count; it is left as it is.
    frames : iterable
        As for `Forecaster.fit`. A path is read by the worker that trains on it, so that no rows travel.
    executor : as for `Forecaster.fit`
        Each table is a task of its own.
    at_once : int
        Tables that are taken from `frames` together, and models that are held together until they are yielded.
    progress : as for `Forecaster.fit`
        Of the tables that were taken together.

    Yields
    ------
    Forecaster
        As one that was loaded from a file: it knows where its series stand, but holds no training rows.

    Raises
    ------
    InvalidInput, InvalidType, DataError, LibraryMissing, WorkerLost
        As from `Forecaster.fit`; the message begins with the number of the table.
    """
    if not isinstance(forecaster, Forecaster):
        raise InvalidType(f"forecaster must be a bptt.Forecaster. Got {type(forecaster).__name__}")
    if isinstance(frames, (str, bytes)) or not isinstance(frames, Iterable):
        raise InvalidType(f"frames must be a sequence of tables or paths. Got {type(frames).__name__}")
    return _fit_each(forecaster.asked, iter(frames), executor, check_whole("at_once", at_once), progress)


def _fit_each(
    asked: Asked, frames: Iterator[object], executor: object, at_once: int, progress: object
) -> Iterator[Forecaster]:
    numbers = count()
    with open_workers(executor, asked.threads) as workers:
        while taken := list(islice(frames, at_once)):
            jobs = [Job(fit_one, asked, (frame, next(numbers)), _PARTS, np.inf) for frame in taken]
            with show_progress(progress) as notify:
                found = workers.run(jobs, Meter(_PARTS * len(jobs), notify))
            yield from found


def fit_one(asked: Asked, frame: object, number: int, tick: Tick) -> Forecaster:
    """Return a forecaster fitted in one thread: the job of a worker."""
    made = Forecaster()
    made.asked = replace(asked, threads=1)
    try:
        made.fit(frame, progress=tick)
    except BpttError as error:
        raise type(error)(f"frames[{number}]: {error}") from error
    made.asked = asked
    return made.without_rows()
