"""What a network is to say after each row of a line, made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoded, Encoding

# Rows of targets, and of a window, that are held at once: all of them would take many times the room of the line, and
# these few stay near the processor while sums are made of them.
CHUNK = 1024


class Targets:
    """The changes from the anchor over the horizon, divided by `Encoding.target`, of every row that has all of them.

    ``targets[rows]`` is an array (n, K); between two values that were seen, those missing lie on a line.

    Attributes
    ----------
    seen : ndarray float64 (T - K,)
        Share of the K values that was seen.
    """

    def __init__(self, encoding: Encoding, line: Encoded) -> None:
        self._encoding, self._line = encoding, line
        rows, first, K = len(line), line.before, encoding.horizon
        self._z = line.z[first:]
        if line.seen.any() and not line.seen.all():
            self._z = np.interp(np.arange(rows), np.flatnonzero(line.seen), self._z[line.seen])
        count = max(0, rows - K)
        shares = np.cumsum(np.concatenate([[0.0], line.seen]))
        self.seen: Array = (shares[1 + K : 1 + K + count] - shares[1 : 1 + count]) / K

    def __len__(self) -> int:
        return len(self.seen)

    @property
    def horizon(self) -> int:
        """K, values of each row."""
        return self._encoding.horizon

    def __getitem__(self, rows: slice | Array) -> Array:
        encoding, line = self._encoding, self._line
        t = np.arange(len(self))[rows][:, None]
        k = np.arange(1, encoding.horizon + 1)
        found: Array = (self._z[t + k] - line.z[line.before + t - encoding.anchors()]) / encoding.target
        return found

    def pieces(self) -> Iterator[tuple[Array, Array]]:
        """Yield all targets with their shares, some rows at a time."""
        for first in range(0, len(self), CHUNK):
            rows = slice(first, first + CHUNK)
            yield self[rows], self.seen[rows]
