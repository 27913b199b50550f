"""Engines timed in turn, round after round, so that all meet the same weather on the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.timing import LEAST_SHARE, Samples
from benchmarks.workers import Handle

LEAST_CORES = 1.8  # of a machine on which two threads are worth timing
PATIENCE = 3  # times as many tries in a round as wanted, while the machine is busy with others
HOPE = 0.6  # of a core: with less than that the machine is too busy for another try

# Samples that are judged one by one: how many each competitor takes at a turn, how many times as many as are wanted it
# takes at most, and how many must count.
TURN, MOST_TRIES, LEAST_COUNTED = 5, 8, 5
# Steps of a sample at least: others may have had the caches meanwhile, and the first step fills them again.
LEAST_STEPS = 3


@dataclass
class Race:
    """The samples of one job.

    Attributes
    ----------
    samples : dict of str to Samples
        By the name of the competitor.
    wanted : int
        Samples of each that must count for the race to be valid.
    """

    samples: dict[str, Samples]
    wanted: int = 1

    @property
    def is_valid(self) -> bool:
        """Whether enough of all competitors' samples count."""
        return all(len(samples.seconds) >= self.wanted for samples in self.samples.values())

    @property
    def disturbed(self) -> list[str]:
        """Who never had a core to itself, and is judged by processor time."""
        return [name for name, samples in self.samples.items() if samples.seconds and not samples.is_quiet]

    @property
    def remark(self) -> str:
        """What to know about the times; nothing where all is well."""
        if not self.is_valid:
            short = {name: found for name, found in self.samples.items() if len(found.seconds) < self.wanted}
            counts = ", ".join(
                f"{name} {len(found.seconds)} of {found.tried}" for name, found in short.items()
            )
            return f"invalid: too few samples with {LEAST_CORES} cores before and after ({counts}). "
        if self.disturbed:
            return f"processor time, for want of a core to itself: {', '.join(self.disturbed)}. "
        return ""


def race(handles: Mapping[str, Handle], rounds: int, budget: float) -> Race:
    """Time every competitor once a round.

    Parameters
    ----------
    handles : mapping of name to Handle
        Prepared tasks.
    rounds : int
    budget : float
        Seconds that each takes in a round; at least one step.
    """
    for handle in handles.values():
        handle.warm_up(budget)
    found = Race({name: Samples() for name in handles})
    for _ in range(rounds):
        for name, handle in handles.items():
            found.samples[name].add(*_undisturbed(handle))
    return found


def watched_race(handles: Mapping[str, Handle], wanted: int, budget: float, threads: int) -> Race:
    """Time every competitor in short samples, some at a turn, until so many of each count.

    A sample counts if the machine gave `LEAST_CORES` cores right before it and right after it, and no thread of its
    process had to leave its core for another meanwhile. The rule is the same for all, one thread or several; who has
    enough waits for the others, and nobody has more.

    Parameters
    ----------
    handles : mapping of name to Handle
    wanted : int
        Samples of each.
    budget : float
        Seconds of a sample; at least `LEAST_STEPS` steps.
    threads : int
        How many must get a core each.
    """
    for handle in handles.values():
        handle.warm_up(budget)
        handle.steps = max(handle.steps, LEAST_STEPS)
    found = Race({name: Samples() for name in handles}, min(wanted, LEAST_COUNTED))
    for _ in range(-(-MOST_TRIES * wanted // TURN)):
        for name, handle in handles.items():
            samples = found.samples[name]
            if len(samples.seconds) >= wanted:
                continue
            for seconds, cores, before, after, taken in handle.watch(TURN, threads):
                if len(samples.seconds) < wanted:
                    samples.tried += 1
                    if min(before, after) >= LEAST_CORES and not taken:
                        samples.add(seconds, cores)
    return found


def _undisturbed(handle: Handle) -> tuple[float, float]:
    """Measure until the engine had its core to itself, or there is no hope of it; return the try nearest to that."""
    tries = []
    for _ in range(PATIENCE):
        tries.append(handle.measure())
        if tries[-1][1] >= LEAST_SHARE or tries[-1][1] < HOPE:
            break
    return max(tries, key=lambda one: one[1])
