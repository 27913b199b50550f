"""Saturation: units sit at the bounds of their activations, where nothing moves them."""

from __future__ import annotations

from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import percent, short

NAME = "saturation"

# Share of units and steps. A unit with gates counts where all of them are stuck, so that a quarter is much. Networks
# that count or switch saturate in good health, but not those that fail.
SHARE = 0.25
# From here on the network does its work, however it does it.
WORKS = 0.9


def share_of(evidence: Evidence) -> float:
    """Return the share of the most saturated layer's outputs, over all its units and steps."""
    return max(float(units.saturated.mean()) for units in evidence.units)


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    if evidence.explained > WORKS:
        return None
    worst = max(evidence.units, key=lambda units: float(units.saturated.mean()))
    share = float(worst.saturated.mean())
    if share < SHARE:
        return None
    stuck = float((worst.saturated > 0.9).mean())
    return Finding(
        NAME,
        "severe" if evidence.explained < 0.5 else "moderate",
        worst.name,
        f"{percent(share)} of the outputs sit at a bound where their derivative is below 0.02, {percent(stuck)} of the "
        f"units nearly always; the network explains {short(evidence.explained)} of the loss",
        {"share": share, "units": stuck, "explained": evidence.explained},
        "scale the inputs, start from smaller weights, lower the learning rate, clip",
    )
