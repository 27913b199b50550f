"""How much of a batch counts in the loss."""

from __future__ import annotations

import numpy as np

from bptt.data.examples.batch import Batch, Indices
from bptt.errors import InvalidInput
from bptt.network import Network

# Examples that a message names.
_NAMED = 3


def counted(net: Network, batch: Batch) -> float:
    """Return what the loss of a batch was divided by (see `Loss`): its share in the loss over several."""
    if net.readout == "last":
        return float(len(batch) if batch.weights is None else np.sum(batch.weights, dtype=np.float64))
    steps = batch.x.shape[1]
    counts = np.ones((len(batch), steps))
    if batch.weights is not None:
        counts *= batch.weights if batch.weights.ndim == 2 else batch.weights[:, None]
    if batch.lengths is not None:
        counts *= np.arange(steps) < batch.lengths[:, None]
    return float(counts.max(axis=1).sum() if net.loss.time == "sum" else counts.sum())


def check_counts(net: Network, batch: Batch, indices: Indices, step: int) -> None:
    """Refuse a batch of which nothing counts: there is no loss to make an update from.

    Skipping it instead would leave out updates unsaid, and a learning-rate schedule would run ahead of them.
    """
    if batch.weights is None or counted(net, batch) != 0.0:
        return
    some = ", ".join(str(int(k)) for k in indices[:_NAMED])
    more = f" and {len(indices) - _NAMED} more" if len(indices) > _NAMED else ""
    raise InvalidInput(
        f"weights of each batch must hold at least one number above 0. Got only zeros at step {step}, examples {some}"
        f"{more}: leave out examples that do not count, or use a larger batch_size"
    )
