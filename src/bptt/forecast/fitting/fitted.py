"""What training found: the forecaster's numbers, its intervals, and what was chosen."""

from __future__ import annotations

from dataclasses import dataclass, field

from bptt.checks import Array
from bptt.diagnostics.doctor.finding import Diagnosis
from bptt.forecast.fitting.checkup import Checkup
from bptt.forecast.fitting.choices.choosing import Choice
from bptt.forecast.fitting.intervals.bounds import Intervals
from bptt.forecast.fitting.trained import Trained
from bptt.forecast.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Fitted:
    """A forecaster after training.

    Attributes
    ----------
    trained : Trained
    intervals : Intervals
    choice : Choice
    losses : tuple of ndarray
        Of the updates of each network of the ensemble.
    recipe : Recipe
    rows : int
        Trained on.
    checkup : Checkup or None
        Of a training that the doctor may look at; a file does not hold it.
    """

    trained: Trained
    intervals: Intervals
    choice: Choice
    recipe: Recipe
    rows: int
    losses: tuple[Array, ...] = field(default=())
    checkup: Checkup | None = None

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What the doctor says, where there is something to look at."""
        return None if self.checkup is None else self.checkup.diagnosis
