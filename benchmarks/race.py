"""Engines timed in turn, round after round, so that all meet the same weather on the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.timing import LEAST_SHARE, Samples
from benchmarks.workers import Handle

LEAST_CORES = 1.8  # of a machine on which two threads are worth timing
PATIENCE = 3  # times as many rounds, or tries in a round, as wanted, while the machine is busy with others


@dataclass
class Race:
    """The samples of one job.

    Attributes
    ----------
    samples : dict of str to Samples
        By the name of the competitor.
    cores : list of float
        What the probe found before each round that counts; empty with one thread.
    lost : int
        Rounds that do not count, because the machine did not give its cores.
    """

    samples: dict[str, Samples]
    cores: list[float] = field(default_factory=list)
    lost: int = 0

    @property
    def is_valid(self) -> bool:
        """Whether there is any round that counts."""
        return all(samples.seconds for samples in self.samples.values())

    @property
    def disturbed(self) -> list[str]:
        """Who never had a core to itself, and is judged by processor time."""
        return [name for name, samples in self.samples.items() if samples.seconds and not samples.is_quiet]

    @property
    def remark(self) -> str:
        """What to know about the times; nothing where all is well."""
        if not self.is_valid:
            return f"invalid: the machine gave fewer than {LEAST_CORES} cores in all of {self.lost} rounds. "
        if self.disturbed:
            return f"processor time, for want of a core to itself: {', '.join(self.disturbed)}. "
        return ""


def race(
    handles: Mapping[str, Handle], rounds: int, budget: float, probe: Callable[[], float] | None = None
) -> Race:
    """Time every competitor once a round.

    Parameters
    ----------
    handles : mapping of name to Handle
        Prepared tasks.
    rounds : int
    budget : float
        Seconds that each takes in a round; at least one step.
    probe : callable, optional
        Returns how many cores the machine gives just now; rounds with fewer than `LEAST_CORES` do not count.
    """
    for handle in handles.values():
        handle.warm_up(budget)
    found = Race({name: Samples() for name in handles})
    left = rounds * (1 if probe is None else PATIENCE)
    done = 0
    while done < rounds and left:
        left -= 1
        if probe is not None:
            cores = probe()
            if cores < LEAST_CORES:
                found.lost += 1
                continue
            found.cores.append(cores)
        for name, handle in handles.items():
            found.samples[name].add(*_undisturbed(handle))
        done += 1
    return found


def _undisturbed(handle: Handle) -> tuple[float, float]:
    """Measure until the engine had its core to itself, or patience is at an end; return the try nearest to that."""
    tries = []
    for _ in range(PATIENCE):
        tries.append(handle.measure())
        if tries[-1][1] >= LEAST_SHARE:
            break
    return max(tries, key=lambda one: one[1])
