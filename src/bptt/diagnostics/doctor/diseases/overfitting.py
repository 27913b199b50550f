"""Overfitting: the training loss falls on while the validation loss rises."""

from __future__ import annotations

import numpy as np

from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import short

NAME = "overfitting"

# The last validation loss over the lowest one. Its own noise moves it by a tenth.
RISEN = 1.2
# And over the training loss at the end: without that distance it is the training that got worse.
APART = 1.5
# And by this share of the loss of a constant: a fit that is all but perfect may double its error.
WORTH = 0.02
# A network that has this share of a constant's loss left in training, and on fresh data does not even reach the
# constant, knows its examples by heart, whatever the course: few examples are learnt before the first evaluation.
BY_HEART = 0.2
REMEDY = "stop early (early_stopping=5), add data, a penalty or dropout, or make the network smaller"
_EVALUATIONS = 4  # fewer show no course


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    history = evidence.history
    if len(history.validation) < _EVALUATIONS or history.stopped_because == "early stopping":
        return None
    values = np.array([loss for _, loss in history.validation])
    lowest, best = float(values.min()), int(np.argmin(values))
    # Two evaluations say where it ends: one alone may be an outlier.
    last = float(values[-2:].min())
    training = float(history.losses[-max(1, history.steps // 20) :].mean())
    step = history.validation[best][0]
    if last > evidence.constant and training < BY_HEART * evidence.constant:
        return _by_heart(step, lowest, last, training, evidence.constant)
    if best >= len(values) - 2 or not (last > RISEN * lowest and last > APART * training):
        return None
    if last - lowest < WORTH * evidence.constant:
        return None
    return Finding(
        NAME,
        "severe" if last > 2 * lowest else "moderate",
        f"step {step}",
        f"the validation loss was lowest, {short(lowest)}, after {step} updates and is {short(last)} at the end, "
        f"{short(last / training) if training > 0 else 'inf'} times the training loss",
        {"best_step": float(step), "lowest": lowest, "last": last, "training": training},
        REMEDY,
    )


def _by_heart(step: int, lowest: float, last: float, training: float, constant: float) -> Finding:
    return Finding(
        NAME,
        "severe",
        f"step {step}",
        f"the validation loss is {short(last)} at the end, above the {short(constant)} of a constant, where the "
        f"training loss is {short(training)}; at its lowest it was {short(lowest)}, after {step} updates",
        {"best_step": float(step), "lowest": lowest, "last": last, "training": training},
        REMEDY,
    )
