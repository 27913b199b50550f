"""The linear path: what of the newest rows a forecast may read directly, beside the recurrent state."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoded, Encoding, soft


def features(encoding: Encoding) -> int:
    """Return the columns of `read_window`."""
    return encoding.inputs + encoding.window - 1 + (encoding.past_window - 1) * len(encoding.past)


def read_window(encoding: Encoding, line: Encoded, rows: Array) -> Array:
    """Return the features of the linear path after these rows, float64 (n, W).

    The network's inputs of the row itself, the older values of the target as differences from the newest, the older
    values of the past columns.
    """
    last = line.before + rows
    found = [line.x[rows]]
    if encoding.window > 1:
        older = sliding_window_view(line.z, encoding.window)[last - encoding.window + 1]
        found.append(older[:, :-1] - older[:, -1:])
    if encoding.past_window > 1 and encoding.past:
        past = sliding_window_view(soft(line.p), encoding.past_window, axis=0)[
            last - encoding.past_window + 1
        ]
        found.append(past[:, :, :-1].reshape(len(rows), len(encoding.past) * (encoding.past_window - 1)))
    return np.concatenate(found, axis=1)


def unrest(line: Encoded, rows: Array) -> tuple[Array, Array]:
    """Return how far the target moved in the last step, and on average in the last 24 (n,), scaled units."""
    moves = np.abs(np.diff(line.z))
    last = line.before + rows - 1
    sums = np.cumsum(np.concatenate([[0.0], moves]))
    first = np.maximum(last - 23, 0)
    return moves[last], (sums[last + 1] - sums[first]) / (last + 1 - first)
