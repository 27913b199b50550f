"""Learning rates that change with the number of updates made."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from bptt.checks import check_number, check_whole
from bptt.configs import Configured, from_config
from bptt.errors import InvalidInput


@dataclass(frozen=True)
class Schedule(Configured):
    """A learning rate for every update.

    Parameters
    ----------
    rate : float
        At least 0: the full learning rate.
    """

    rate: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_number("rate", self.rate, least=0))

    def __call__(self, step: int) -> float:
        """Return the learning rate of update `step`, counted from 0 (updates, not epochs)."""
        return self._at(check_whole("step", step, least=0))

    @abstractmethod
    def _at(self, step: int) -> float:
        """Return the learning rate of a checked step."""


@dataclass(frozen=True)
class Constant(Schedule):
    """The same learning rate always."""

    kind: ClassVar[str] = "constant"

    def _at(self, step: int) -> float:  # noqa: ARG002  # constant
        return self.rate


@dataclass(frozen=True)
class InverseTime(Schedule):
    """rate / (1 + decay step), the lecture's decay.

    Parameters
    ----------
    rate : float
        At step 0.
    decay : float
        At least 0; after 1/decay steps the rate has halved.
    """

    decay: float
    kind: ClassVar[str] = "inverse_time"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "decay", check_number("decay", self.decay, least=0))

    def _at(self, step: int) -> float:
        return self.rate / (1 + self.decay * step)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """The rate is multiplied by `factor` after every `every` steps: rate factor^floor(step / every).

    Parameters
    ----------
    rate : float
        Of the first `every` steps.
    every : int
        At least 1.
    factor : float
        Above 0.
    """

    every: int
    factor: float = 0.1
    kind: ClassVar[str] = "step_decay"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "every", check_whole("every", self.every))
        object.__setattr__(self, "factor", check_number("factor", self.factor, above=0))

    def _at(self, step: int) -> float:
        return self.rate * self.factor ** (step // self.every)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from the full rate down, after a linear warm-up.

    Parameters
    ----------
    rate : float
        Reached at step W = `warmup_steps`.
    total_steps : int
        S, at least 1. From step S on the rate stays at its final value.
    warmup_steps : int
        W, at least 0 and below S.
    final_fraction : float
        f in 0..1: the final rate over the full one.

    Notes
    -----
    ::

        step < W         rate (step + 1) / (W + 1)         never 0, so that no update is wasted
        W <= step <= S   rate (f + (1 - f) (1 + cos(pi (step - W) / (S - W))) / 2)

    References
    ----------
    Loshchilov and Hutter 2017, "SGDR", arXiv:1608.03983, equation 5, with one period and without restarts.
    """

    total_steps: int
    warmup_steps: int = 0
    final_fraction: float = 0.0
    kind: ClassVar[str] = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        total = check_whole("total_steps", self.total_steps)
        warmup = check_whole("warmup_steps", self.warmup_steps, least=0)
        if warmup >= total:
            raise InvalidInput(f"warmup_steps must be below total_steps = {total}. Got {warmup}")
        fraction = check_number("final_fraction", self.final_fraction, least=0)
        if fraction > 1:
            raise InvalidInput(f"final_fraction must be at most 1. Got {fraction:g}")
        object.__setattr__(self, "total_steps", total)
        object.__setattr__(self, "warmup_steps", warmup)
        object.__setattr__(self, "final_fraction", fraction)

    def _at(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.rate * (step + 1) / (self.warmup_steps + 1)
        passed = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        fall = (1 + math.cos(math.pi * min(passed, 1.0))) / 2
        return self.rate * (self.final_fraction + (1 - self.final_fraction) * fall)


SCHEDULES: dict[str, type[Schedule]] = {
    made.kind: made for made in (Constant, InverseTime, StepDecay, Cosine)
}


def schedule_from_config(config: Mapping[str, object]) -> Schedule:
    """Return the schedule that `Schedule.to_config` wrote."""
    return from_config("schedule", config, SCHEDULES)
