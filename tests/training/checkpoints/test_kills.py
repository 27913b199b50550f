"""kill -9 at random moments of a run that does little but write checkpoints: none is lost, every bit is the same."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.training import read_checkpoint
from tests.training.checkpoints import killed_run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")


@pytest.fixture(scope="module")
def processes() -> Any:
    """Return what starts a process within milliseconds: everything is loaded already where it is forked off."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.checkpoints.killed_run", "safetensors.numpy"])
    return context


def kill_again_and_again(
    processes: Any, kind: str, folder: Path, kills: int, seconds: float, seed: int, writes: int = 0
) -> None:
    """Kill a run again and again, each time going on with it, and let it end: so often at least within a write."""
    rng = np.random.default_rng(seed)
    expected = killed_run.go(kind, None, threads=1)
    path, digest, killed, steps, within = folder / "run.ckpt", folder / "digest", 0, 0, 0
    while killed < kills or within < writes or not digest.exists():
        assert killed < 20 * kills
        killing = killed < kills or within < writes
        ours, theirs = processes.Pipe()
        process = processes.Process(target=killed_run.go_on, args=(kind, folder, theirs))
        process.start()
        if killing:
            if rng.random() < 0.8:  # or at any moment of its beginning
                wait([ours, process.sentinel], 60)
            time.sleep(rng.uniform(0, seconds))
            process.kill()
        process.join(120)
        ours.close()
        theirs.close()
        if process.exitcode == 0:
            assert digest.read_text() == expected
            assert [each.name for each in sorted(folder.iterdir())] == ["digest", "run.ckpt"]
            if killing:  # it was done before: once more from the beginning
                digest.unlink()
                path.unlink()
                steps = 0
            continue
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        within += any(folder.glob("*.part"))
        assert path.exists() or not steps
        if path.exists():
            kept = read_checkpoint(path)  # whole
            assert kept.step >= steps  # and none is lost that was there
            steps = kept.step


def test_killed_a_few_times(tmp_path: Path, processes: Any) -> None:
    kill_again_and_again(processes, "fused", tmp_path, 8, 0.2, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kills", "seed"), [("fused", 130, 2), ("carried", 70, 3)])
def test_killed_two_hundred_times(kind: str, kills: int, seed: int, tmp_path: Path, processes: Any) -> None:
    # How many fall within a save depends on the disk: in memory it is one in twenty.
    kill_again_and_again(processes, kind, tmp_path, kills, 0.15, seed, writes=kills // 20)
