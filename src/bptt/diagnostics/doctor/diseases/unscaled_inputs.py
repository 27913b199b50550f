"""Unscaled inputs: columns so large, so small or so far from 0 that the starting weights do not fit them."""

from __future__ import annotations

import numpy as np

from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import short

NAME = "unscaled inputs"

# Root mean square of a column: starting weights are made for 1. Beyond 10 tanh units saturate at once; below a
# hundredth in *every* column nothing arrives.
LARGE, SMALL = 10.0, 0.01


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    batch = evidence.batch
    x = np.asarray(batch.x, np.float64)
    if not x.shape[2]:
        return None
    rows = np.ones(x.shape[:2], bool)
    if batch.lengths is not None:
        rows = np.arange(x.shape[1]) < batch.lengths[:, None]
    flat = x[rows]
    sizes = np.sqrt(np.mean(np.square(flat), axis=0))
    # Ones and zeros name something: a rare symbol's column is small and right.
    named = np.array([np.isin(column, (0.0, 1.0)).all() for column in flat.T])
    k = int(np.argmax(sizes))
    if sizes[k] > LARGE:
        wrong = np.flatnonzero(sizes > LARGE)
    elif not named.any() and 0 < sizes[k] < SMALL:
        wrong = np.arange(len(sizes))
    else:
        return None
    mean, deviation = float(flat[:, k].mean()), float(flat[:, k].std())
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return Finding(
        NAME,
        "severe" if evidence.explained < 0.5 else "moderate",
        f"column {k} of x{more}",
        f"column {k} has mean {short(mean)} and deviation {short(deviation)}",
        {"column": float(k), "mean": mean, "deviation": deviation, "columns": float(len(wrong))},
        "bring every column to mean 0 and deviation 1 with bptt.data.Scaler, fitted to the training rows",
    )
