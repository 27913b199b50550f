"""What a source of examples is known by: digests of its arrays, and the settings that cut examples from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.data.examples.arrays import Arrays
from bptt.data.examples.batch import Array, Batch, Source, Streams
from bptt.data.examples.sequences import Sequences
from bptt.data.examples.series import Series
from bptt.data.examples.spans import Spans
from bptt.data.examples.stretches import Stretches
from bptt.data.examples.windows import Windows
from bptt.training.steps.sources import fetch

# Bytes looked at together: a long series is read without a second one of its size.
_PIECE = 1 << 20


def describe_source(source: Any) -> dict[str, Any]:
    """Return plain JSON values, the same for sources that give the same examples.

    A source of the user's own is known by what its method ``digest()`` returns; without one by its length and its
    first, middle and last examples.
    """
    found: dict[str, Any] = {"class": type(source).__qualname__, "examples": len(source)}
    own = getattr(source, "digest", None)
    # Not by isinstance: a subclass may make its batches differently, and so may a method put in the place of another.
    if type(source) not in _KNOWN or "batch" in getattr(source, "__dict__", {}):
        return {**found, **({"digest": str(own())} if callable(own) else _some_examples(source))}
    if isinstance(source, Arrays):
        arrays = {"x": source.x, "y": source.y, "lengths": source.lengths, "weights": source.weights}
        return {**found, **{name: None if a is None else digest([a]) for name, a in arrays.items()}}
    assert isinstance(source, Series)
    found |= {"dtype": source.dtype.name, "x": digest([source.x_rows])}
    found["y"] = digest(_targets(source))
    found["segments"] = digest([source.segments])
    for name in ("length", "chunk", "streams", "warmup", "lookback", "horizon"):
        if hasattr(source, name):
            found[name] = getattr(source, name)
    if isinstance(source, Stretches):
        found["rows"] = digest(_rows_of(source))
    if isinstance(source, Spans):
        found["starts"] = digest([source.starts])
    return found


def digest(arrays: Iterable[Array]) -> str:
    """Return the sha256 of dtypes, shapes and numbers, a piece at a time."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        if not array.size:
            continue
        if array.flags.c_contiguous:
            found.update(array.reshape(-1).view(np.uint8).data)
            continue
        rows = array if array.ndim else array[None]
        height = max(1, _PIECE // max(1, rows[0].nbytes))
        for first in range(0, len(rows), height):
            found.update(rows[first : first + height].tobytes())
    return found.hexdigest()


_KNOWN = (Arrays, Windows, Sequences, Stretches)


def _targets(source: Series) -> Iterator[Array]:
    rows, height = len(source.x_rows), max(1, _PIECE // (8 * len(source.targets)))
    for first in range(0, rows, height):
        yield source.targets_at(np.arange(first, min(first + height, rows)))


def _rows_of(source: Stretches) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the rows that each chunk predicts: where a part begins, and how it is dealt out to the streams."""
    height = max(1, _PIECE // (8 * (source.lookback + source.chunk)))
    for first in range(0, len(source), height):
        yield source.target_rows(np.arange(first, min(first + height, len(source))))


def _some_examples(source: Source) -> dict[str, str]:
    """Return digests of the first, middle and last examples; of streams, of whole batches."""
    count = source.streams if isinstance(source, Streams) else 1
    steps = len(source) // count
    places = {"first": 0, "middle": steps // 2, "last": steps - 1}
    return {
        f"{name} example": digest(_arrays_of(fetch(source, np.arange(k * count, (k + 1) * count))))
        for name, k in places.items()
    }


def _arrays_of(batch: Batch) -> Iterator[Array]:
    for array in (batch.x, batch.y, batch.lengths, batch.weights, batch.carry, batch.onward):
        if array is not None:
            yield np.asarray(array)
