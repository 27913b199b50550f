"""How far an update can move the weights, whatever the optimiser was: History knows the rate alone."""

from __future__ import annotations

import numpy as np

from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.optim.norms import global_norm

# Of plain gradient steps those with a momentum of 0.9 go furthest.
_MOMENTUM = 10.0


def moves(evidence: Evidence, rate: float) -> float:
    """Return the most that a usual update moves the weights by, over their norm: with momentum, or a rate a weight."""
    parameters = evidence.net.parameters
    norm = global_norm(parameters)
    count = sum(p.size for p in parameters.values())
    usual = float(np.median(evidence.history.gradient_norms))
    return rate * max(_MOMENTUM * usual, float(np.sqrt(count))) / norm if norm > 0 else np.inf
