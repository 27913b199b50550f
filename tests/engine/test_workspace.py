"""Memory that is lent: aligned, not shared, used again."""

from __future__ import annotations

import gc

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.engine.compiled import workspace

FLOAT = np.dtype("float32")


@pytest.fixture(autouse=True)
def _nothing_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "_idle", workspace._Idle())


def test_blocks_are_aligned() -> None:
    for count in (1, 1000):
        assert workspace.address(workspace.new_block(count, FLOAT)) % workspace.ALIGNMENT == 0
        assert workspace.address(workspace.scratch(count, FLOAT)) % workspace.ALIGNMENT == 0


def test_a_block_in_use_is_not_lent_again() -> None:
    first = workspace.new_block(1000, FLOAT)
    shown = first[10:20].reshape(2, 5)
    where = workspace.address(first)
    del first
    gc.collect()
    second = workspace.new_block(1000, FLOAT)
    second[:] = 7
    assert workspace.address(second) != where
    shown[:] = 1
    assert (second == 7).all()


def test_a_block_that_nobody_shows_is_lent_again() -> None:
    block = workspace.new_block(1000, FLOAT)
    where = workspace.address(block)
    del block
    gc.collect()
    assert workspace.address(workspace.new_block(1000, FLOAT)) == where


def test_idle_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "KEPT", 10_000)
    for count in range(100, 2000, 100):
        workspace.new_block(count, FLOAT)
        gc.collect()
        held = sum(b.nbytes for blocks in workspace._idle.blocks.values() for b in blocks)
        assert held == workspace._idle.total <= 10_000
    workspace.new_block(100_000, FLOAT)
    assert workspace._idle.total == 0
