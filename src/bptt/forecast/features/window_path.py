"""The linear path: what of the newest rows a forecast may read directly, beside the recurrent state."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoded, Encoding, soft


def features(encoding: Encoding) -> int:
    """Return the columns of `read_window`."""
    return encoding.inputs + encoding.window - 1 + (encoding.past_window - 1) * len(encoding.past)


def read_window(encoding: Encoding, line: Encoded, rows: Array, room: int = 0) -> Array:
    """Return the features of the linear path after these rows, float64 (n, W + room): the last `room` columns are left.

    The network's inputs of the row itself, the older values of the target as differences from the newest, the older
    values of the past columns.
    """
    W = features(encoding)
    found = np.empty((len(rows), W + room))
    if not len(rows):
        return found
    D, older, before = encoding.inputs, encoding.window, encoding.past_window
    last = line.before + rows
    lowest, highest = int(last.min()), int(last.max())
    # Rows that follow each other are seen in place; others are gathered.
    together = highest - lowest + 1 == len(rows) and bool((np.diff(rows) == 1).all())
    at: slice | Array = slice(None) if together else last - lowest
    found[:, :D] = line.x[rows]
    if older > 1:
        z = sliding_window_view(line.z[lowest - older + 1 : highest + 1], older)[at]
        np.subtract(z[:, :-1], z[:, -1:], out=found[:, D : D + older - 1])
    if before > 1 and encoding.past:
        p = soft(line.p[lowest - before + 1 : highest + 1])
        past = sliding_window_view(p, before, axis=0)[at][:, :, :-1]
        found[:, D + older - 1 : W].reshape(past.shape)[...] = past
    return found


def unrest(line: Encoded, rows: Array) -> tuple[Array, Array]:
    """Return how far the target moved in the last step, and on average in the last 24 (n,), scaled units."""
    moves = np.abs(np.diff(line.z))
    last = line.before + rows - 1
    sums = np.cumsum(np.concatenate([[0.0], moves]))
    first = np.maximum(last - 23, 0)
    return moves[last], (sums[last + 1] - sums[first]) / (last + 1 - first)
