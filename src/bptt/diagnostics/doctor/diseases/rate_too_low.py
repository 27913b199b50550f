"""Learning rate too low: the run ended on its way."""

from __future__ import annotations

from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.evidence.movement import moves
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import percent, short

NAME = "learning rate too low"

# Share of the loss that a few larger steps on a copy gain, on examples kept apart.
GAIN = 0.3
# The same of a run that moved its loss by less than a tenth in all: hard tasks gain less at first.
GAIN_UNMOVED, UNMOVED = 0.1, 0.1
# That share over what the whole second half of the run gained.
FASTER = 3.0
# All updates together can have moved the weights by less than this share of their size: so nothing is learnt.
TRAVEL = 0.5
# From here on the network does its work.
WORKS = 0.9


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    history, curve, treatment = evidence.history, evidence.curve, evidence.treatment
    if curve is None or treatment is None or history.stopped_because == "diverged":
        return None
    gain, gained = treatment.gain(), curve.fell(0.5)
    unmoved = curve.last > (1 - UNMOVED) * curve.blocks[0] and evidence.explained < UNMOVED
    rate = float(history.learning_rates.max())
    travel = history.steps * moves(evidence, rate)
    if evidence.explained <= WORKS and travel < TRAVEL and gain > 0:
        return Finding(
            NAME,
            "severe" if evidence.explained < 0.5 else "moderate",
            f"learning rate {short(rate)}",
            f"all {history.steps} updates together can have moved the weights by {percent(travel)} of their size",
            {"rate": rate, "travel": travel, "gain": gain},
            f"try {short(10 * rate)} or more",
        )
    if evidence.explained > WORKS or gain < (GAIN_UNMOVED if unmoved else GAIN) or gain < FASTER * gained:
        return None
    return Finding(
        NAME,
        "severe" if evidence.explained < 0.5 else "moderate",
        f"learning rate {short(rate)}",
        f"{treatment.steps} larger steps on a copy take {percent(gain)} of the loss away, where the second half of the "
        f"run, {history.steps - history.steps // 2} steps, took {percent(gained)}",
        {"rate": rate, "gain": gain, "second_half": gained},
        f"try {short(10 * rate)}, or train longer",
    )
