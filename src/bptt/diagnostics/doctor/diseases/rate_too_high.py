"""Learning rate too high: updates throw the weights across the valley, or out of it."""

from __future__ import annotations

from bptt.diagnostics.doctor.diseases import saturation
from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.evidence.movement import moves
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import percent, short

NAME = "learning rate too high"

# A loss so many times both the first one and that of a constant is no noise: the weights were thrown out. Where the run
# ended without having learnt, two thirds of it say the same.
RISEN = 3.0
UNLEARNT = 0.5
# From here on the network does its work.
WORKS = 0.9
# Share of the loss that a few small steps on a copy gain, where the run's own went on jumping.
GAIN = 0.5
# Mean change of the loss from step to step over its mean, in the second half.
ROUGH = 0.3
# Of the weights' norm, what one update moves them by at most, be it by the gradient or by its signs: with less than
# this a step is too small to jump.
MOVES = 0.003
# With more than this units that sit at their bounds were driven there; where they started there, weights are large.
MOVES_FAR = 0.02


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    history, curve = evidence.history, evidence.curve
    if not history.steps:
        return None
    rate = float(history.learning_rates.max())
    numbers = {"rate": rate}
    if history.stopped_because == "diverged":
        seen = f"the run left the finite numbers after {history.steps} updates"
    elif curve is None or moves(evidence, rate) < MOVES or evidence.explained > WORKS:
        return None
    elif curve.peak > _risen(evidence) * max(curve.first, evidence.constant):
        numbers |= {"first": curve.first, "peak": curve.peak}
        seen = f"the loss rose from {short(curve.first)} to {short(curve.peak)}"
    elif evidence.treatment is not None and evidence.treatment.gain() > GAIN and curve.roughness > ROUGH:
        gain = evidence.treatment.gain()
        numbers |= {"gain": gain, "roughness": curve.roughness}
        seen = (
            f"the loss changes by {percent(curve.roughness)} from step to step, and {evidence.treatment.steps} small "
            f"steps on a copy take {percent(gain)} of it away"
        )
    elif moves(evidence, rate) > MOVES_FAR and saturation.share_of(evidence) > saturation.SHARE:
        numbers |= {"moves": moves(evidence, rate)}
        seen = (
            f"one update may move the weights by {percent(moves(evidence, rate))} of their size, and units sit at "
            "their bounds"
        )
    else:
        return None
    return Finding(
        NAME,
        "severe" if evidence.explained < 0.5 else "moderate",
        f"learning rate {short(rate)}",
        seen,
        numbers,
        f"try {short(rate / 10)}, or let it fall over the run (a schedule)",
    )


def _risen(evidence: Evidence) -> float:
    return RISEN if evidence.explained > UNLEARNT else 2 * RISEN / 3
