"""What the network's errors still hang on, and how far back its gradient reaches: by steps before the output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.data.examples.batch import Batch
from bptt.diagnostics.doctor.evidence.regression import drawn, residual
from bptt.diagnostics.doctor.evidence.sample import Sample

# Lags looked at one by one; of longer sequences that many, spread evenly.
_LAGS = 64
# Far ones of these at most are regressed on.
_FAR = 24
# Fewer rows than this a column say nothing about a dependence.
_ROWS_A_COLUMN = 8
# dL/dx at a lag over its largest: with less than a hundredth it is drowned by the nearer ones.
REACH = 0.01


@dataclass(frozen=True, eq=False)
class Lags:
    """By lag k, the input k steps before the output.

    Attributes
    ----------
    lags : ndarray of int (N,)
    left : ndarray (N,)
        Share of the squared errors that the input at that lag explains linearly, beyond what the inputs within the
        gradient's reach explain, less what chance would; 0 at lags that it reaches.
    reach : ndarray (N,)
        Norm of dL/dx at that lag, loss at the last output, over its largest; NaN where no gradient arrives anywhere.
    horizon : int
        The memory: steps back within which `reach` is at least a thousandth.
    """

    lags: Array
    left: Array
    reach: Array
    horizon: int


def look_at_lags(sample: Sample) -> Lags | None:
    """Return what is seen by lag; None without inputs, or with too few examples to tell."""
    batch = sample.batch
    T, D = batch.x.shape[1:]
    if not D or T < 2:
        return None
    lags = np.unique(np.linspace(0, T - 1, min(T, _LAGS)).astype(np.intp))
    reach = _reach(sample)
    return Lags(
        lags, _left(sample, lags, reach[lags]), reach[lags], int(np.flatnonzero(~(reach < 1e-3))[-1]) + 1
    )


def _ends(batch: Batch) -> Array:
    T = batch.x.shape[1]
    return np.full(len(batch), T) if batch.lengths is None else np.asarray(batch.lengths)


def _left(sample: Sample, lags: Array, reach: Array) -> Array:
    """Regress the errors on the input at each lag that no gradient reaches."""
    x = np.asarray(sample.batch.x, np.float64)
    errors, columns = sample.errors, x.shape[2]
    examples, outputs = sample.places
    found = np.zeros(len(lags))
    if not np.isfinite(errors).all() or not np.isfinite(reach).all():
        return found
    chosen = drawn(len(errors))
    errors, examples, outputs = errors[chosen], examples[chosen], outputs[chosen]
    near, far = lags[reach >= REACH], np.flatnonzero(reach < REACH)
    for k in far[:: max(1, len(far) // _FAR)]:
        rows = outputs >= lags[k]
        n = int(rows.sum())
        if n < _ROWS_A_COLUMN * (columns + 1) or n < len(outputs) / 8:
            continue
        at, step = examples[rows], outputs[rows]
        fits = max(1, n // (_ROWS_A_COLUMN * columns))
        known = [x[at, step - lag] for lag in near[near < lags[k]][:: max(1, -(-len(near) // fits))]]
        rest = np.column_stack([np.ones((n, 1)), *known])
        e, seen = errors[rows], x[at, step - lags[k]]
        of = float(np.square(e - e.mean(axis=0)).sum())
        both = residual(rest, np.column_stack([e, seen]))
        e, seen = both[:, : e.shape[1]], both[:, e.shape[1] :]
        fitted, free = float(np.square(seen @ _solve(seen, e)).sum()), n - rest.shape[1] - columns
        # What as many columns of noise would explain of what is left.
        chance = (float(np.square(e).sum()) - fitted) * columns / max(1, free)
        found[k] = max(0.0, (fitted - chance) / of) if of > 0 else 0.0
    return found


def _solve(of: Array, wanted: Array) -> Array:
    return np.asarray(np.linalg.lstsq(of, wanted, rcond=1e-8)[0])


def _reach(sample: Sample) -> Array:
    """Return the median norm of dL/dx by lag (T,), over its largest."""
    net, batch = sample.net, sample.part(sample.some)
    ends = _ends(batch)
    T = batch.x.shape[1]
    if net.readout == "every":
        last = np.zeros(batch.x.shape[:2])
        last[np.arange(len(batch)), ends - 1] = 1.0
        with np.errstate(all="ignore"):
            dx = net.loss_and_gradients(
                batch.x, batch.y, weights=last, lengths=batch.lengths, want_x=True
            ).gradients.x
    else:
        dx = sample.gradients.gradients.x
    assert dx is not None
    norms = np.linalg.norm(np.asarray(dx, np.float64), axis=2)
    if not np.isfinite(norms).all():
        return np.full(T, np.nan)
    # An example without an error has no gradient at any lag: it says nothing.
    by_lag = np.full((len(batch), T), np.nan)
    for row, end in enumerate(ends):
        by_lag[row, :end] = norms[row, :end][::-1]
    heard = np.nanmax(by_lag, axis=1, initial=0.0) > 0
    if not heard.any():
        return np.full(T, np.nan)
    shares = by_lag[heard] / np.nanmax(by_lag[heard], axis=1, keepdims=True)
    full = np.isfinite(shares).any(axis=0)
    reach = np.zeros(T)
    reach[full] = np.nanmedian(shares[:, full], axis=0)
    return np.asarray(reach / reach.max()) if reach.max() > 0 else np.full(T, np.nan)
