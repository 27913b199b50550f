"""Loss and predictions over a whole source, a batch at a time and without a tape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bptt.checks import Array
from bptt.data.examples.batch import Batch, Source, Streams
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput
from bptt.network import Network, Pass
from bptt.network.weights import step_weights
from bptt.training.steps.carried import CarriedState, batching
from bptt.training.steps.counting import counted
from bptt.training.steps.sources import Data, as_source, fetch

# Examples held at once where the caller does not say: fewer where they are so long that inputs and pre-activations of a
# layer would take more bytes than these (a pass holds some copies of them).
_EXAMPLES = 1024
_BYTES = 1 << 22


def evaluate(net: Network, source: Data, batch_size: int | None = None) -> float:
    """Return the loss over all examples, as if they were one batch.

    Parameters
    ----------
    net : Network
    source : source of batches, or (x, y)
        `Stretches` are read in order, with the state carried along as in training.
    batch_size : int, optional
        Examples held at once: 1024 or, where they are long, fewer. `Stretches` bring their own.

    Returns
    -------
    float
        The mean of the batches' losses, each weighted with what it counts; inf or NaN where the network says so.

    Raises
    ------
    InvalidInput
        No target has a weight above 0.
    """
    total = share = 0.0
    with one_blas_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for batch, found in _passes(net, as_source("source", source), batch_size):
            count = counted(net, batch)
            if count:
                weights = step_weights(batch.weights, batch.lengths, found.y_hat.shape)
                total += count * float(net.loss.value(found.y_hat, batch.y, weights))
                share += count
    if not share:
        raise InvalidInput("source must hold at least one target with a weight above 0. Got only zeros")
    return total / share


def predict_source(net: Network, source: Data, batch_size: int | None = None) -> Array:
    """Return the predictions for all examples, in their order.

    Parameters
    ----------
    net : Network
    source : source of batches, or (x, y)
    batch_size : int, optional
        As for `evaluate`.

    Returns
    -------
    ndarray (len, K), or (len, T, K) with readout "every"
        Examples of fewer steps than the longest one end in zeros.
    """
    with one_blas_thread():
        return _stack([found.y_hat for _, found in _passes(net, as_source("source", source), batch_size)])


def _passes(net: Network, source: Source, batch_size: int | None) -> Iterator[tuple[Batch, Pass]]:
    """Yield each batch, in order, with its pass; of a source of streams with the state carried along."""
    if batch_size is None and not isinstance(source, Streams):
        batch_size = _fitting(net, source)
    size, _ = batching(source, batch_size, None)
    carried = CarriedState(net, source)
    for first in range(0, len(source), size):
        batch = fetch(source, np.arange(first, min(first + size, len(source))))
        yield batch, carried.forward(batch)


def _fitting(net: Network, source: Source) -> int:
    """Return how many examples a pass may hold without memory that a training step would not need either."""
    stack = net.recurrent
    steps = int(fetch(source, [0]).x.shape[1])
    width = stack.input_size + len(stack.cell.plan.gates) * stack.hidden_size
    return max(1, min(_EXAMPLES, _BYTES // (steps * width * net.dtype.itemsize)))


def _stack(parts: list[Array]) -> Array:
    """Return arrays (n, K) or (n, T, K) as one; where T differs, the shorter ones end in zeros."""
    if parts[0].ndim == 2 or len({part.shape[1] for part in parts}) == 1:
        return np.concatenate(parts)
    shape = (sum(len(part) for part in parts), max(part.shape[1] for part in parts), parts[0].shape[2])
    found, first = np.zeros(shape, parts[0].dtype), 0
    for part in parts:
        found[first : first + len(part), : part.shape[1]] = part
        first += len(part)
    return found
