"""What goes to another process and comes back: jobs without what they share, results with where they were computed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from bptt.engine import get_engine
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput
from bptt.forecast.fitting.running.side_by_side import Stopped
from bptt.training.checkpoints.run_identity import versions

T = TypeVar("T")

_log = logging.getLogger("bptt.forecast")
# How often a job looks whether it is still wanted, seconds.
_LOOK = 0.25
# Differences between processes that were told of already.
_told: set[str] = set()


@dataclass(frozen=True, eq=False)
class Job(Generic[T]):
    """Something to compute, in whichever process.

    Attributes
    ----------
    function : callable
        Of a module. It is called with `shared`, the `arguments` and a `Tick`, and depends on nothing else.
    shared : object
        What other jobs read too: one object, the same for all of them. No job may change it.
    arguments : tuple
    updates : int
        How much it counts for in the progress.
    seconds : float
        About how long it takes on one core.
    """

    function: Callable[..., T]
    shared: object
    arguments: tuple[object, ...]
    updates: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Parcel:
    """Jobs that are sent together.

    Attributes
    ----------
    calls : tuple of (function, arguments)
    sender : dict
        What the bits depend on where they come from.
    """

    calls: tuple[tuple[Callable[..., Any], tuple[object, ...]], ...]
    sender: dict[str, str]


class Answer(NamedTuple):
    """What the jobs returned, and what the bits depend on where they ran."""

    results: list[Any]
    worker: dict[str, str]


class Watch:
    """What a job far away calls at its updates: ends it when nobody wants it any more.

    Parameters
    ----------
    wanted : callable
        Returns whether the job is; asked a few times a second.
    """

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted, self._next = wanted, 0.0

    def __call__(self, *_: int) -> None:
        """Look, if the last look was a while ago."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _LOOK
            if not self._wanted():
                raise Stopped


def pack(jobs: Sequence[Job[Any]]) -> Parcel:
    """Return the parcel of some jobs."""
    return Parcel(tuple((job.function, job.arguments) for job in jobs), surroundings())


def run_parcel(parcel: Parcel, shared: object, watch: Watch) -> Answer:
    """Run the jobs of a parcel, one after the other, with the bits that they have everywhere.

    Raises
    ------
    InvalidInput
        It comes from another version of bptt.
    """
    here = surroundings()
    check_version(parcel.sender["bptt"], here["bptt"])
    results = []
    for function, arguments in parcel.calls:
        watch(0, 1)
        with one_blas_thread():
            results.append(function(shared, *arguments, watch))
    return Answer(results, here)


def open_answer(answer: Answer) -> list[Any]:
    """Return the results; where they were computed with other means than here, a line of the log says so."""
    here = surroundings()
    for name, value in answer.worker.items():
        told = f"{name}: {value} there, {here[name]} here"
        if value != here[name] and told not in _told:
            _told.add(told)
            _log.warning("workers differ from this process, so that the last bits of a fit may too: %s", told)
    return answer.results


def check_version(sender: str, worker: str | None, place: str = "a worker") -> None:
    """Refuse a worker whose version of bptt is another one."""
    if worker != sender:
        got = f"{worker} on {place}" if worker else f"none on {place}"
        raise InvalidInput(
            f"executor must have workers with bptt = {sender}, as here. Got {got}: install the same there"
        )


@cache
def surroundings() -> dict[str, str]:
    """Return what the bits of a result depend on in this process."""
    found: Any = np.show_config(mode="dicts")
    vectors = found.get("SIMD Extensions", {}).get("found", [])
    return versions() | {"engine": get_engine("auto").NAME, "vectors": " ".join(map(str, vectors))}
