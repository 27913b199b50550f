"""Dead units: rectified units whose output is 0 for every input, so that no gradient ever enters them."""

from __future__ import annotations

from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import percent

NAME = "dead units"

# Share of a layer's units. A rectified layer loses up to half on its way without harm.
SHARE = 0.6


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    worst = max(evidence.units, key=lambda units: float(units.dead.mean()))
    share, count = float(worst.dead.mean()), int(worst.dead.sum())
    if share < SHARE:
        return None
    return Finding(
        NAME,
        "severe" if evidence.explained < 0.5 else "mild" if evidence.explained > 0.9 else "moderate",
        worst.name,
        f"{count} of {worst.dead.size} units ({percent(share)}) are 0 at every step of every example",
        {"units": float(count), "share": share},
        "lower the learning rate, clip, start b_h at 0 or above; or use tanh",
    )
