"""Which examples make up which step: drawn from the seed alone, many steps at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from bptt.checks import check_whole
from bptt.data.examples.batch import Indices
from bptt.errors import InvalidInput

SAMPLINGS = ("random", "shuffled")

# Steps drawn together with "random", and indices at most. The number of steps asked for plays no part, so that a
# longer run begins with the steps of a shorter one.
BLOCK_STEPS = 1024
BLOCK_INDICES = 2**18


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return how many batches hold `count` examples, the last one smaller where they do not divide."""
    return -(-count // batch_size)


def planned_steps(steps: int | None, epochs: int | None, count: int, batch_size: int) -> int:
    """Return the number of steps, of which exactly one of `steps` and `epochs` tells.

    Raises
    ------
    InvalidInput, InvalidType
        Both or neither; not a whole number of at least 1.
    """
    if steps is not None and epochs is None:
        return check_whole("steps", steps)
    if epochs is not None and steps is None:
        return check_whole("epochs", epochs) * steps_per_epoch(count, batch_size)
    raise InvalidInput(
        f"steps or epochs must be given, one of the two. Got {'neither' if steps is None else 'both'}"
    )


def index_blocks(
    count: int, batch_size: int, steps: int, sampling: str, seed: int, first: int = 0
) -> Iterator[Indices]:
    """Yield the indices of all batches in blocks (n, B): row k of a block is one step.

    Parameters
    ----------
    count : int
        Examples to draw from.
    batch_size : int
        B.
    steps : int
        Rows of all blocks together.
    sampling : {"random", "shuffled"}
        "random" draws every index anew, with replacement. "shuffled" goes through a new permutation each epoch:
        every example once; the last batch is smaller where `count` does not divide by B, and is a block of its own.
    seed : int
        Decides everything.
    first : int
        The step to begin with, of `steps` in all: those before it are drawn again and left out, which takes
        nanoseconds an index. So seed and step are all there is to know of where a run stands in its data.

    Notes
    -----
    A block has rows of one length, so that an engine can take all its steps in one call.
    """
    # A stream of its own beside those of the starting weights, which come from `seed` and [seed, 1].
    rng = np.random.default_rng([seed, 2])
    rows = max(1, min(BLOCK_STEPS, BLOCK_INDICES // batch_size))
    left, skipped = steps, first
    drawn: Iterable[Indices]
    while left > 0:
        if sampling == "random":
            drawn = [rng.integers(0, count, size=(rows, batch_size), dtype=np.intp)]
        else:
            drawn = _permutation(rng, count, batch_size, rows)
        for block in drawn:
            if block.size and left > 0:
                if skipped < min(left, len(block)):
                    yield block[skipped:left]
                skipped = max(0, skipped - len(block))
                left -= len(block)


def _permutation(rng: np.random.Generator, count: int, batch_size: int, rows: int) -> Iterator[Indices]:
    """Yield one permutation of all examples in blocks of at most `rows` batches, the smaller batch at its end."""
    # Half the memory where the numbers are small enough; the order is the same.
    order = np.arange(count, dtype=np.int32 if count <= np.iinfo(np.int32).max else np.intp)
    rng.shuffle(order)
    whole = count // batch_size * batch_size
    for first in range(0, whole, rows * batch_size):
        block = order[first : min(first + rows * batch_size, whole)]
        yield block.astype(np.intp).reshape(-1, batch_size)
    yield order[None, whole:].astype(np.intp)
