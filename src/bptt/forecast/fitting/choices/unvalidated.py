"""What is trained where no rows are kept for validation: the network, with the usual penalties."""

from __future__ import annotations

from bptt.forecast.fitting.choices.choosing import Candidate, Choice
from bptt.forecast.fitting.networks.members import SHORTEST, Lesson, sequence_length
from bptt.forecast.fitting.readouts.heads import FEW_WITH, FEW_WITHOUT
from bptt.forecast.recipe import Recipe

REASON = "nothing was validated"


def taken_unvalidated(recipe: Recipe, lesson: Lesson) -> Choice | None:
    """Return the choice of the network; of least squares where lines are too short for one; None for too few rows."""
    if lesson.rows < SHORTEST:
        return None
    if sequence_length(recipe, lesson) < SHORTEST:
        return Choice("ridge", None, FEW_WITHOUT[0], {}, 0, REASON)
    return Choice("network", Candidate(recipe, 1.0), FEW_WITH[0], {}, 0, REASON)
