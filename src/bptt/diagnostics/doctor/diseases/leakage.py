"""Target leakage: the newest input holds the target already, which no input will when the model is used."""

from __future__ import annotations

import numpy as np

from bptt.checks import Array
from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.evidence.regression import drawn, settled
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import percent

NAME = "target leakage"

# Share of what all other inputs leave open that one newest value settles. The newest value of a noisy series settles
# half of it, of a very smooth one nine tenths; a copy of the target settles all.
SETTLED = 0.97
# Where others leave less than this open there is nothing to settle: a noiseless series is known from its past.
_OPEN = 1e-4
# Rows before the newest that are taken for the past, and rows of the regression a column.
_PAST, _ROWS_A_COLUMN = 6, 6


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    if not evidence.batch.x.shape[2]:
        return None
    rows, wanted = _regressors(evidence)
    if rows is None:
        return None
    spread = np.square(wanted - wanted.mean(axis=0)).sum(axis=0)
    lags, D = rows.shape[1:]
    share, open_ = settled(
        np.column_stack([rows.reshape(len(rows), -1), np.ones(len(rows))]), lags * D, wanted
    )
    # Of several targets, as the steps of a horizon, an input may hold a single one.
    share = np.where((spread > 0) & (open_ >= _OPEN * spread), share, 0.0).reshape(lags, D, -1)
    # Of a target that is an exact sum of a column's last values, as in a task made up for the purpose, every one of
    # them settles all that the others leave open: that is no leak.
    share = np.where((share[1:] >= SETTLED).any(axis=0), 0.0, share[0])
    k, target = np.unravel_index(np.argmax(share), share.shape)
    most = float(share[k, target])
    if most < SETTLED:
        return None
    which = "the target" if share.shape[1] == 1 else f"target {target}"
    return Finding(
        NAME,
        "severe",
        f"column {k} of x",
        f"its newest value settles {percent(most)} of what all other inputs leave open about {which}",
        {"column": float(k), "settled": most, "target": float(target)},
        f"see whether column {k} is known when the forecast is made; if not, leave it out or lag it",
    )


def _regressors(evidence: Evidence) -> tuple[Array | None, Array]:
    """Return the inputs (n, 1 + P, D), the newest first, None where there are too few, and the targets (n, M)."""
    x = np.asarray(evidence.batch.x, np.float64)
    D = x.shape[2]
    examples, steps = evidence.places
    rows = drawn(len(examples))
    examples, steps, wanted = examples[rows], steps[rows], np.asarray(evidence.targets)[rows]
    n = len(examples)
    past = min(_PAST, x.shape[1] - 1, int((n / _ROWS_A_COLUMN - D) // D))
    if past < 1 and x.shape[1] > 1:
        return None, x[:, 0]
    kept = steps >= past
    examples, steps = examples[kept], steps[kept]
    if len(examples) < _ROWS_A_COLUMN * D * (past + 1):
        return None, x[:, 0]
    values = np.stack([x[examples, steps - lag] for lag in range(past + 1)], axis=1)
    wanted = wanted[kept]
    if evidence.has_classes:
        wanted = np.eye(evidence.answers.shape[1])[wanted]
    return values, np.asarray(wanted, np.float64)
