"""Short samples of a task, the cores that the machine gives asked for right before and right after each."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.engines import Task
from benchmarks.timing import Sample

# Seconds between a sample and the question after it: threads of a pool may spin on for some milliseconds when there is
# nothing left to do, and would be taken for others that are at work.
SETTLING = 0.006


@dataclass
class Watch:
    """The samples as they are taken; `probe` returns how many cores the machine gives."""

    probe: Callable[[], float]
    samples: list[Sample] = field(default_factory=list)
    _given: float | None = None
    _begun: tuple[float, float, int] = (0.0, 0.0, 0)

    def pause(self) -> None:
        """End a sample, if one is under way, and begin the next."""
        ended, processor, taken = _clocks()
        before = self._given
        if before is not None:
            time.sleep(SETTLING)
        self._given = self.probe()
        if before is not None:
            seconds = ended - self._begun[0]
            cores = (processor - self._begun[1]) / seconds
            self.samples.append((seconds, cores, before, self._given, taken - self._begun[2]))
        self._begun = _clocks()


def watch(task: Task, steps: int, count: int, found: Watch) -> None:
    """Take `count` samples of `steps` steps each."""
    own = getattr(task, "pause_every", None)
    if own is not None:
        own(steps, count, found.pause)
        return
    task.run(steps)
    found.pause()
    for _ in range(count):
        task.run(steps)
        found.pause()


def _clocks() -> tuple[float, float, int]:
    """Return the time, this process's processor time, and how often one of its threads had to leave a core."""
    return time.perf_counter(), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
