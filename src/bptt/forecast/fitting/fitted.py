"""What training found: the forecaster's numbers, its intervals, and what was chosen."""

from __future__ import annotations

from dataclasses import dataclass, field

from bptt.checks import Array
from bptt.diagnostics.doctor.finding import Diagnosis
from bptt.forecast.fitting.choosing import Choice
from bptt.forecast.fitting.intervals import Intervals
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
    diagnosis : Diagnosis or None
        What the doctor says, where it was asked; a file does not hold it.
    """

    trained: Trained
    intervals: Intervals
    choice: Choice
    recipe: Recipe
    rows: int
    losses: tuple[Array, ...] = field(default=())
    diagnosis: Diagnosis | None = None
