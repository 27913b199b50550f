"""Where the trainings of a fit are looked up and put: a fit that goes on passes over those that are there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.networks.learnt import Learnt
from bptt.forecast.fitting.running.travelling import Job
from bptt.training.checkpoints.run_identity import plain

Keep = Callable[[str, tuple[Learnt, ...]], None]


class Shelf:
    """Trainings by what they are: those of earlier, and where new ones are put.

    Parameters
    ----------
    known : dict of str to tuple of Learnt
        Of each job, the networks that it trained. New ones are added.
    keep : callable, optional
        Called with each one that is new, from any thread.
    prefix : str
        What names begin with: parts of a work that learn from other rows have other ones.
    """

    def __init__(
        self, known: dict[str, tuple[Learnt, ...]] | None = None, keep: Keep | None = None, prefix: str = ""
    ) -> None:
        self.known = {} if known is None else known
        self.keep, self.prefix = keep, prefix

    def under(self, name: str) -> Shelf:
        """Return the same shelf for a part of the work."""
        return Shelf(self.known, self.keep, f"{self.prefix}{name}:")

    def alone(self) -> Shelf:
        """Return one of its own with what belongs to this part of the work: it may travel."""
        known = {name: each for name, each in self.known.items() if name.startswith(self.prefix)}
        return Shelf(known, prefix=self.prefix)

    def put_all(self, other: Shelf) -> None:
        """Take what another one has, that came back from where it was filled."""
        for name, learnt in other.known.items():
            self.put(name, learnt)

    def put(self, name: str, learnt: tuple[Learnt, ...]) -> None:
        """Take what a job has trained, by its whole name."""
        if name not in self.known:
            self.known[name] = learnt
            if self.keep is not None:
                self.keep(name, learnt)

    def with_known(self, job: Job[Any], plan: LessonPlan) -> tuple[str, Job[Any]]:
        """Return a job's name, and the job that need not train what is known; its last argument says what is."""
        name = self.prefix + _name(job, plan)
        return name, replace(job, arguments=(*job.arguments[:-1], self.known.get(name, ())))


def _name(job: Job[Any], plan: LessonPlan) -> str:
    """Return a digest of what decides the bits of a job's networks besides the rows, which the shelf is for."""
    described = [job.function.__name__, plain(job.arguments[:-1]), plain(plan)]
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32]
