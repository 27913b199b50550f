"""A model that only repeats the last value: it follows the level, and knows nothing of the change to come.

A good model of a slow series lies close to persistence as well. What tells them apart is the skill: whether the change
that is predicted has anything to do with the change that comes.
"""

from __future__ import annotations

import numpy as np

from bptt.checks import Array
from bptt.data.examples.spans import Spans
from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import percent, short

NAME = "repeats the last value"

# Skill over persistence, 1 - MSE / MSE of the last value, on the training examples: a model with so little has none.
SKILL = 0.03
# Share of the prediction's variance that the last value accounts for, and of the target's: else the model, or the
# series, is no matter of persistence.
FOLLOWS, PERSISTENT = 0.9, 0.6


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    if evidence.has_classes or evidence.answers.shape[1] != evidence.targets.shape[1]:
        return None
    truth = np.asarray(evidence.targets, np.float64)
    found = _last_values(evidence, truth)
    if found is None or not np.isfinite(evidence.loss):
        return None
    last, columns = found
    spread = float(np.square(truth - truth.mean(axis=0)).mean())
    change = float(np.square(truth - last).mean())
    if not spread > 0 or not change > 0 or change > (1 - PERSISTENT) * spread:
        return None
    follows = 1.0 - float(np.square(evidence.answers - last).mean()) / spread
    skill = 1.0 - float(np.square(evidence.answers - truth).mean()) / change
    known = _told(evidence, last, truth)
    if follows < FOLLOWS or skill > SKILL:
        return None
    return Finding(
        NAME,
        "moderate",
        f"column {columns[0]} of x",
        f"{percent(follows)} of what is predicted is the last value; the skill over repeating it is {short(skill)}, "
        f"and of the change that comes the predicted one tells {percent(known)}",
        {"skill": skill, "follows": follows, "change_told": known},
        "predict the change (change_of=), train longer, add inputs that lead; if least squares gains nothing either, "
        "nothing more is in the data",
    )


def _told(evidence: Evidence, last: Array, truth: Array) -> float:
    """Return the share of the coming change that the predicted one explains, squared correlation of both."""
    predicted, came = evidence.answers - last, truth - last
    predicted, came = predicted - predicted.mean(axis=0), came - came.mean(axis=0)
    of = float(np.square(predicted).sum() * np.square(came).sum())
    return float(np.square((predicted * came).sum())) / of if of > 0 else 0.0


def _last_values(evidence: Evidence, truth: Array) -> tuple[Array, list[int]] | None:
    """Return the last known value of each target (R, K) and its column: as the source says, else the nearest column."""
    newest, source, net = evidence.newest, evidence.source, evidence.net
    if not newest.shape[1]:
        return None
    if net.change_of is not None:
        columns = list(net.change_of)
    elif isinstance(source, Spans) and set(source.targets) <= set(source.inputs):
        columns = [list(source.inputs).index(target) for target in source.targets]
    else:
        distances = np.square(newest[:, :, None] - truth[:, None, :]).mean(axis=0)
        columns = [int(k) for k in np.argmin(distances, axis=0)]
    return newest[:, columns], columns
