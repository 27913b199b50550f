"""Vanishing gradients: what the network would need lies further back than its gradient reaches."""

from __future__ import annotations

import numpy as np

from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import percent, short

NAME = "vanishing gradients"

# Share of the squared errors that an input explains linearly: below a tenth it may be the chance of 64 lags.
LEFT = 0.1
# The same as a share of the loss of a constant: what would be gained must be worth it.
WORTH = 0.03
# Nearer lags are no matter of memory.
NEAREST = 3


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    lags = evidence.lags
    if lags is None or not np.isfinite(evidence.loss):
        return None
    left = np.where(lags.lags < NEAREST, 0.0, lags.left)
    k = int(np.argmax(left))
    if left[k] < LEFT or left[k] * evidence.loss < WORTH * evidence.constant:
        return None
    lag, reach = int(lags.lags[k]), float(lags.reach[k])
    return Finding(
        NAME,
        "severe" if evidence.explained < 0.5 else "moderate",
        f"lag {lag}",
        f"the memory reaches {lags.horizon} steps back, but {percent(float(left[k]))} of the error hangs on the input "
        f"{lag} steps back, where the gradient is {short(reach)} of its largest",
        {"lag": float(lag), "horizon": float(lags.horizon), "error_share": float(left[k]), "reach": reach},
        "use a GRU or LSTM (forget gate's bias at 1 or more), start W_hh orthogonal, or bring the lag nearer",
    )
