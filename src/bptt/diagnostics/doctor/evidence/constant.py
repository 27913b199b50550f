"""The loss that the best constant prediction leaves: what a network must get below to have learnt anything."""

from __future__ import annotations

import numpy as np

from bptt.checks import Array
from bptt.losses import CrossEntropy, Gaussian, Loss, Pinball


def constant_loss(loss: Loss, targets: Array, outputs: int) -> float:
    """Return the loss of the best constant.

    Parameters
    ----------
    loss : Loss
    targets : ndarray (R, M), or integer (R,)
        All that counts, one target a row.
    outputs : int
        K.

    Notes
    -----
    The mean is best for squared errors, the median for absolute ones; for those in between the better of both is taken.
    Of distributions it is the normal one of the targets' mean and variance.
    """
    if isinstance(loss, CrossEntropy):
        counts = np.bincount(targets, minlength=outputs)
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * np.log(shares)).sum())
    if isinstance(loss, Pinball):
        candidates = [np.quantile(targets, loss.quantiles, axis=0).T.reshape(-1)]
    elif isinstance(loss, Gaussian):
        variance = np.maximum(targets.var(axis=0), 1e-300)
        candidates = [np.stack([targets.mean(axis=0), np.log(variance)], axis=1).reshape(-1)]
    else:
        candidates = [targets.mean(axis=0), np.median(targets, axis=0)]
    with np.errstate(all="ignore"):
        return min(
            float(loss.value(np.broadcast_to(each, (len(targets), outputs)), targets)) for each in candidates
        )
