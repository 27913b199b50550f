"""Loss and predictions over a whole source, a batch at a time and without a tape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bptt.checks import Array, check_whole
from bptt.data.batch import Batch, Source
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput
from bptt.network import Network
from bptt.training.sources import Data, as_source, fetch


def evaluate(net: Network, source: Data, batch_size: int = 1024) -> float:
    """Return the loss over all examples, as if they were one batch.

    Parameters
    ----------
    net : Network
    source : source of batches, or (x, y)
    batch_size : int
        Examples held at once.

    Returns
    -------
    float
        The mean of the batches' losses, each weighted with what it counts; inf or NaN where the network says so.

    Raises
    ------
    InvalidInput
        No target has a weight above 0.
    """
    total = counted = 0.0
    with one_blas_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for batch in _batches(as_source("source", source), batch_size):
            count = _count(net, batch)
            if count:
                loss = net.loss_value(batch.x, batch.y, weights=batch.weights, lengths=batch.lengths)
                total += count * float(loss)
                counted += count
    if not counted:
        raise InvalidInput("source must hold at least one target with a weight above 0. Got only zeros")
    return total / counted


def predict_source(net: Network, source: Data, batch_size: int = 1024) -> Array:
    """Return the predictions for all examples, in their order.

    Parameters
    ----------
    net : Network
    source : source of batches, or (x, y)
    batch_size : int
        Examples held at once.

    Returns
    -------
    ndarray (len, K), or (len, T, K) with readout "every"
    """
    with one_blas_thread():
        return np.concatenate([
            net.forward(batch.x, lengths=batch.lengths, tape=False).y_hat
            for batch in _batches(as_source("source", source), batch_size)
        ])  # fmt: skip


def _batches(source: Source, batch_size: int) -> Iterator[Batch]:
    size, count = check_whole("batch_size", batch_size), len(source)
    for first in range(0, count, size):
        yield fetch(source, np.arange(first, min(first + size, count)))


def _count(net: Network, batch: Batch) -> float:
    """Return what the loss of a batch was divided by (see `Loss`): its share in the loss over several."""
    if net.readout == "last":
        return float(len(batch) if batch.weights is None else np.sum(batch.weights, dtype=np.float64))
    steps = batch.x.shape[1]
    counted = np.ones((len(batch), steps))
    if batch.weights is not None:
        counted *= batch.weights if batch.weights.ndim == 2 else batch.weights[:, None]
    if batch.lengths is not None:
        counted *= np.arange(steps) < batch.lengths[:, None]
    return float(counted.max(axis=1).sum() if net.loss.time == "sum" else counted.sum())
