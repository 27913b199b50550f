"""A batch, and what the training loop asks of a source of batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from bptt.errors import InvalidInput, InvalidType

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Some examples, copied out of their source.

    Attributes
    ----------
    x : ndarray (B, T, D)
        Inputs, batch first.
    y : ndarray (B, K) or (B, T, K), or integer (B,) or (B, T)
        Targets of the last step or of every step.
    lengths : ndarray (B,), optional
        Valid steps of each row; None when every row has all T.
    weights : ndarray (B,) or (B, T), optional
        Weight of each target in the loss, 0 = not counted; None when all count the same.
    carry : ndarray of bool (B,), optional
        Which rows go on from the state that the same row of the batch before ended with; the others start anew. None
        when all start anew. Only a source that is read in order may say so: see `Streams`.
    onward : ndarray of int (B,), optional
        After how many steps the next batch goes on from each row's state; None where it does so from the last one.
        Fewer than all T where batches overlap; a row that goes on after none has to start anew.
    """

    x: Array
    y: Array
    lengths: Array | None = None
    weights: Array | None = None
    carry: Array | None = None
    onward: Array | None = None

    def __len__(self) -> int:
        return int(self.x.shape[0])


@runtime_checkable
class Source(Protocol):
    """Examples that can be drawn by index: all that training needs to know about data."""

    def __len__(self) -> int:
        """Return the number of examples."""
        ...

    def batch(self, indices: npt.ArrayLike) -> Batch:
        """Return the examples with these indices, in this order."""
        ...


@runtime_checkable
class Streams(Source, Protocol):
    """A source that is read in order, `streams` examples at a time: each batch may go on where the last one ended.

    Batch c holds the examples c * streams .. (c + 1) * streams - 1, so ``len`` is a multiple of `streams`.
    `Batch.carry` says which rows go on.
    """

    streams: int


def check_indices(indices: npt.ArrayLike, count: int) -> Indices:
    """Return `indices` as an integer array (B,) with every entry in 0..count-1.

    Negative indices are refused: an index that is off by the length of the series would pass for another example.
    """
    array = np.asarray(indices)
    if array.dtype.kind not in "iu":
        raise InvalidType(f"indices must be whole numbers. Got dtype {array.dtype}")
    if array.ndim != 1 or not array.size:
        raise InvalidInput(f"indices must have shape (B,) with B of at least 1. Got {array.shape}")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= count:
        raise InvalidInput(
            f"indices must lie in 0..len-1 = 0..{count - 1}. Got {low if low < 0 else high}: "
            f"the source has {count} examples"
        )
    return array.astype(np.intp, copy=False)
