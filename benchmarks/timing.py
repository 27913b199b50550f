"""Times as samples: one a round, in seconds for one step; best, median, and the ratio of two engines of one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

# Processor time over elapsed time: above this times its threads a run had more cores than it may, ...
MOST_CORES = 1.2
# ... and below this it had to share its core with somebody else, and its time is not its own.
LEAST_SHARE = 0.96

# A sample that is judged by itself: seconds, processor time over it, the cores that the machine gave before and after,
# and how often a thread had to leave its core for another.
Sample = tuple[float, float, float, float, int]


@dataclass
class Samples:
    """What one engine took for one job.

    Attributes
    ----------
    seconds : list of float
        Of one step, one entry a round.
    cores : list of float
        Processor time over elapsed time, as many.
    tried : int
        How many were taken, where whether one counts was judged sample by sample (`race.watched_race`); else 0.
    """

    seconds: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    tried: int = 0

    def add(self, seconds: float, cores: float) -> None:
        """Take in one round."""
        self.seconds.append(seconds)
        self.cores.append(cores)

    @property
    def is_quiet(self) -> bool:
        """Whether it had its core to itself in any round."""
        return self.tried > 0 or any(cores >= LEAST_SHARE for cores in self.cores)

    @property
    def counted(self) -> list[float]:
        """The rounds in which it had its core to itself; where there is none, the processor time of all.

        Samples that were judged one by one all count: of some milliseconds the system knows the processor time of a
        second thread only roughly.
        """
        if self.tried:
            return self.seconds
        rounds = list(zip(self.seconds, self.cores, strict=True))
        kept = [seconds for seconds, cores in rounds if cores >= LEAST_SHARE]
        return kept or [seconds * cores for seconds, cores in rounds]

    @property
    def best(self) -> float:
        """The fastest round: on a shared machine the others measure the neighbours."""
        return min(self.counted)

    @property
    def median(self) -> float:
        """The round in the middle."""
        return median(self.counted)

    def is_within(self, threads: int) -> bool:
        """Whether no more cores were at work than `threads` may take."""
        return median(self.cores) <= threads * MOST_CORES


def ratio(peer: Samples, ours: Samples) -> float:
    """Return how many times faster ours is, best against best."""
    return peer.best / ours.best


def median_ratio(peer: Samples, ours: Samples) -> float:
    """Return how many times faster ours is in the round in the middle."""
    return peer.median / ours.median


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
