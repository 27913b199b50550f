"""Unscaled targets: what the readout is to produce does not fit its size, or lies outside its activation's range."""

from __future__ import annotations

import numpy as np

from bptt.checks import Array
from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import percent, short

NAME = "unscaled targets"

# Root mean square of what the readout must produce: it starts at about 1. Beyond 10 a bias has to travel for thousands
# of steps and gradients are ten times what rates and clips are made for; below a hundredth the start's noise drowns it.
LARGE, SMALL = 10.0, 0.01
# Share of targets beyond the bounds of a bounded readout.
_OUTSIDE = 0.05
_BOUNDS = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "relu": (0.0, np.inf), "softplus": (0.0, np.inf)}


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    if evidence.has_classes:
        return None
    wanted = to_produce(evidence)
    sizes = np.sqrt(np.mean(np.square(wanted), axis=0))
    k = int(np.argmax(sizes))
    mean, deviation = float(wanted[:, k].mean()), float(wanted[:, k].std())
    numbers = {"column": float(k), "mean": mean, "deviation": deviation}
    severity = "severe" if evidence.explained < 0.5 else "moderate"
    activation = evidence.net.output_activation
    low, high = _BOUNDS.get(activation, (-np.inf, np.inf))
    outside = float(np.mean((wanted < low) | (wanted > high)))
    if outside > _OUTSIDE:
        return Finding(
            NAME, severity, f"column {k} of y",
            f"{percent(outside)} of the targets lie outside {short(low)}..{short(high)}, all that a readout through "
            f"{activation} gives",
            {**numbers, "outside": outside},
            "scale the targets into that range, or use output_activation='identity'",
        )  # fmt: skip
    if not (sizes[k] > LARGE or 0 < sizes[k] < SMALL):
        return None
    return Finding(
        NAME, severity, f"column {k} of y",
        f"the readout is to produce numbers of mean {short(mean)} and deviation {short(deviation)}",
        numbers,
        "bring the targets to mean 0 and deviation 1 with bptt.data.Scaler, and change_scale to a typical change",
    )  # fmt: skip


def to_produce(evidence: Evidence) -> Array:
    """Return what the readout must give for each target (R, M): with a change target the change, in its scale."""
    net, targets = evidence.net, np.asarray(evidence.targets, np.float64)
    if net.change_of is None:
        return targets
    return np.asarray((targets - evidence.newest[:, list(net.change_of)]) / net.change_scale)
