"""What training takes as data: a source of batches, or a pair of arrays."""

from __future__ import annotations

import numpy.typing as npt

from bptt.data.examples.arrays import Arrays
from bptt.data.examples.batch import Batch, Source
from bptt.errors import DataError, InvalidType

Data = Source | tuple[npt.ArrayLike, npt.ArrayLike]


def as_source(name: str, data: Data) -> Source:
    """Return `data` as a source with at least one example.

    Raises
    ------
    InvalidType
        Neither a source nor a pair (x, y).
    DataError
        A source without examples.
    """
    if isinstance(data, tuple):
        if len(data) != 2:
            raise InvalidType(
                f"{name} must be a source of batches or a pair (x, y). Got a tuple of {len(data)}: "
                "lengths and weights go into bptt.data.Arrays"
            )
        return Arrays(*data)
    if not isinstance(data, Source):
        raise InvalidType(
            f"{name} must be a source of batches (Windows, Sequences, Arrays, or an object with __len__ and batch) "
            f"or a pair (x, y). Got {type(data).__name__}"
        )
    if not len(data):
        raise DataError(f"{name} must hold at least one example. Got none")
    return data


def fetch(source: Source, indices: npt.ArrayLike) -> Batch:
    """Return the examples with these indices, after a look at what a source of the user's own returns."""
    batch = source.batch(indices)
    if not isinstance(batch, Batch):
        raise InvalidType(
            f"{type(source).__name__}.batch must return a bptt.data.Batch. Got {type(batch).__name__}"
        )
    return batch
