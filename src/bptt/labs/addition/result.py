"""The addition lab's three parts, run one after the other."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bptt.labs.addition import lab as addition
from bptt.labs.addition import limits as addition_limits
from bptt.labs.addition import truncation
from bptt.labs.addition.lab import Adding, Notify
from bptt.labs.addition.limits import Limits
from bptt.labs.addition.truncation import Truncation

QUICK = 20  # a quick run trains this many times less


@dataclass(frozen=True)
class AdditionResult:
    """Everything that the lab found.

    Attributes
    ----------
    seeds : tuple of int
    steps : int
        Updates of a run on the interleaved digits.
    test_pairs : int
    seconds : float
        Of the whole run.
    """

    seeds: tuple[int, ...]
    steps: int
    test_pairs: int
    adding: Adding
    truncated: Truncation
    limits: Limits
    seconds: float


def run_all(
    *, seed: int = 0, seeds: int = 3, quick: bool = False, notify: Notify | None = None
) -> AdditionResult:
    """Run the three parts; arguments as `make_outcome`."""
    began = time.perf_counter()
    share = QUICK if quick else 1
    steps, pairs = addition.STEPS // share, 1000 if quick else 10_000
    adding = addition.run(seed=seed, seeds=seeds, steps=steps, test_pairs=pairs, notify=notify)
    every = tuple(range(seed, seed + seeds))
    truncated = truncation.run(seed=seed, steps=truncation.STEPS // share, notify=notify)
    limits = addition_limits.run(seeds=every, steps=addition_limits.STEPS // share, notify=notify)
    return AdditionResult(every, steps, pairs, adding, truncated, limits, time.perf_counter() - began)
