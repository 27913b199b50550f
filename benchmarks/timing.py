"""Times as samples: one a round, in seconds for one step; best, median, and the ratio of two engines of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

# One core's worth of work for one thread; above this a "one thread" run was none.
MOST_CORES = 1.2


@dataclass
class Samples:
    """What one engine took for one job.

    Attributes
    ----------
    seconds : list of float
        Of one step, one entry a round.
    cores : list of float
        Processor time over elapsed time, as many.
    """

    seconds: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The fastest round: on a shared machine the others measure the neighbours."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The round in the middle."""
        return median(self.seconds)

    def is_within(self, threads: int) -> bool:
        """Whether no more cores were at work than `threads` may take."""
        return median(self.cores) <= threads * MOST_CORES


def ratio(peer: Samples, ours: Samples) -> float:
    """Return how many times faster ours is, best against best."""
    return peer.best / ours.best


def median_ratio(peer: Samples, ours: Samples) -> float:
    """Return the median over the rounds of the ratio within a round."""
    return median(p / o for p, o in zip(peer.seconds, ours.seconds, strict=True))


def chunk_length(time_of: Callable[[int], float], budget: float, most: int = 1_000_000) -> int:
    """Return how many steps take about `budget` seconds, found by doubling.

    Parameters
    ----------
    time_of : callable
        From a number of steps to the seconds that they took together.
    budget : float
        Seconds.
    """
    steps = 1
    while True:
        spent = time_of(steps)
        if spent >= budget / 4 or steps >= most:
            return max(1, min(most, round(steps * budget / max(spent, 1e-9))))
        steps = min(most, steps * 4)


def good_rounds(cores: Sequence[float], least: float) -> list[int]:
    """Return the rounds in which the machine gave at least `least` cores."""
    return [k for k, found in enumerate(cores) if found >= least]
