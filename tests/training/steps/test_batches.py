from __future__ import annotations

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.training.steps.batches import (
    BLOCK_INDICES,
    BLOCK_STEPS,
    index_blocks,
    planned_steps,
    steps_per_epoch,
)


def rows(count: int, batch_size: int, steps: int, sampling: str, seed: int = 0) -> list[list[int]]:
    return [
        list(map(int, row))
        for block in index_blocks(count, batch_size, steps, sampling, seed)
        for row in block
    ]


@pytest.mark.parametrize(("count", "batch_size"), [(53, 8), (48, 8), (5, 8), (7, 1), (9, 9)])
def test_shuffled_uses_every_index_once_an_epoch(count: int, batch_size: int) -> None:
    each = steps_per_epoch(count, batch_size)
    found = rows(count, batch_size, 3 * each, "shuffled")
    epochs = [[i for row in found[k * each : (k + 1) * each] for i in row] for k in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(count))
    assert {len(row) for row in found} <= {batch_size, count % batch_size or batch_size}
    if count > 5:
        assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_shuffled_stops_within_an_epoch() -> None:
    whole = rows(53, 8, 14, "shuffled")
    assert len(whole) == 14
    assert rows(53, 8, 10, "shuffled") == whole[:10]
    assert [len(row) for row in whole] == 2 * [8, 8, 8, 8, 8, 8, 5]


def test_random_covers_all_and_repeats_some() -> None:
    found = rows(53, 8, 200, "random")
    drawn = np.array(found)
    assert drawn.shape == (200, 8)
    counts = np.bincount(drawn.ravel(), minlength=53)
    assert counts.size == 53
    # 1600 draws over 53 examples: 30 each, with a deviation of 5.5.
    assert counts.min() > 30 - 6 * 5.5
    assert counts.max() < 30 + 6 * 5.5
    assert any(len(set(row)) < 8 for row in found)


@pytest.mark.parametrize("sampling", ["random", "shuffled"])
def test_the_seed_decides_and_a_longer_run_begins_like_a_shorter_one(sampling: str) -> None:
    long = rows(53, 8, 2 * BLOCK_STEPS + 100, sampling, seed=4)
    assert len(long) == 2 * BLOCK_STEPS + 100
    for steps in (1, BLOCK_STEPS - 1, BLOCK_STEPS, BLOCK_STEPS + 1):
        assert rows(53, 8, steps, sampling, seed=4) == long[:steps]
    assert rows(53, 8, 9, sampling, seed=5) != long[:9]
    # Not the stream that starting weights are drawn from.
    rng = np.random.default_rng(4)
    assert long[0] != list(rng.integers(0, 53, size=8))


def test_blocks_hold_rows_of_one_length_and_stay_small() -> None:
    shapes = [block.shape for block in index_blocks(53, 8, 14, "shuffled", 0)]
    assert shapes == [(6, 8), (1, 5), (6, 8), (1, 5)]
    assert [block.shape for block in index_blocks(53, 8, 1500, "random", 0)] == [(1024, 8), (476, 8)]
    assert [block.shape for block in index_blocks(9, BLOCK_INDICES, 2, "random", 0)] == 2 * [
        (1, BLOCK_INDICES)
    ]


def test_planned_steps() -> None:
    assert planned_steps(7, None, 53, 8) == 7
    assert planned_steps(None, 3, 53, 8) == 21
    for steps, epochs, got in ((None, None, "neither"), (3, 3, "both")):
        with pytest.raises(InvalidInput, match=f"^steps or epochs must be given, one of the two. Got {got}$"):
            planned_steps(steps, epochs, 53, 8)
    with pytest.raises(InvalidInput, match=r"^steps must be at least 1. Got 0$"):
        planned_steps(0, None, 53, 8)
    with pytest.raises(InvalidType, match=r"^epochs must be a whole number. Got 1.5$"):
        planned_steps(None, 1.5, 53, 8)  # type: ignore[arg-type]  # what is tested
