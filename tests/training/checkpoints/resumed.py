"""What the tests of checkpoints share: the file of every step, and two runs compared to the bit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.network import Network
from bptt.training import History, train
from bptt.training.checkpoints import saving
from bptt.training.checkpoints.file import Checkpoint
from tests.training.setups import assert_same_bits

# A run made anew: a fresh network, and what `train` is given beside it.
Make = Callable[[], tuple[Network, dict[str, Any]]]


def keep_every_file(monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[int, Path]:
    """Return, by step, a copy of each checkpoint that is written: what a kill at that moment would leave."""
    # The disk's own time is no part of it: what is flushed when is tested with `write_atomic`.
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    folder.mkdir()
    files: dict[int, Path] = {}
    write = saving.write_checkpoint

    def copied(path: str, kept: Checkpoint) -> Path:
        written = write(path, kept)
        files[kept.step] = Path(shutil.copy(written, folder / f"{kept.step}.ckpt"))
        return written

    monkeypatch.setattr(saving, "write_checkpoint", copied)
    return files


def assert_same_history(found: History, expected: History) -> None:
    assert found.stopped_because == expected.stopped_because
    for name in ("losses", "gradient_norms", "learning_rates"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert found.validation == expected.validation
    assert found.best_step == expected.best_step
    assert (found.recorded is None) == (expected.recorded is None)
    if found.recorded is not None and expected.recorded is not None:
        assert found.recorded.to_dict() == expected.recorded.to_dict()
        for mine, theirs in zip(found.recorded.snapshots, expected.recorded.snapshots, strict=True):
            assert_same_bits(mine, theirs)


def run(make: Make, **more: Any) -> tuple[Network, History]:
    net, settings = make()
    return net, train(net, **{"progress": False, **settings, **more})


def assert_resumes(
    make: Make, path: Path, whole: tuple[Network, History], *, spoil: bool = True, **more: Any
) -> None:
    """Go on from `path` and compare with the run that was never interrupted."""
    net, settings = make()
    if spoil:  # the weights that the network has are no part of it
        for p in net.parameters.values():
            p[...] = 0.37
    history = train(net, **{"progress": False, **settings, **more}, resume=path)
    assert_same_history(history, whole[1])
    assert_same_bits(net.parameters, whole[0].parameters)
