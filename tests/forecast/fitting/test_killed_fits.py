"""kill -9 at random moments of a fit: what was trained is never trained again, and every bit is the same."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
import pytest

from bptt.forecast.saving.fit_file import count_kept
from tests.forecast.fitting import killed_fit

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")


def kill_again_and_again(folder: Path, kills: int, seconds: float, seed: int) -> None:
    """Kill a fit again and again, each time going on with it, and let it end; begin anew where it was done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.forecast.fitting.killed_fit", "safetensors.numpy"])
    rng = np.random.default_rng(seed)
    expected = killed_fit.go(None)
    path, digest, killed, kept, within = folder / "fit.ckpt", folder / "digest", 0, 0, 0
    while killed < kills or not digest.exists():
        ours, theirs = context.Pipe()
        process = context.Process(target=killed_fit.go_on, args=(folder, theirs))
        process.start()
        if killed < kills:
            if rng.random() < 0.8:  # or at any moment of its beginning
                wait([ours, process.sentinel], 60)
            time.sleep(rng.uniform(0, seconds))
            process.kill()
        process.join(120)
        ours.close()
        theirs.close()
        if process.exitcode == 0:
            assert digest.read_text() == expected
            assert [each.name for each in sorted(folder.iterdir())] == ["digest", "fit.ckpt"]
            if killed < kills:
                digest.unlink()
                path.unlink()
                kept = 0
            continue
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        assert path.exists() or not kept
        count = count_kept(path)
        assert count >= kept  # whole, and none is lost that was there
        within += count > kept
        kept = count
    assert within >= min(2, kills // 8)  # some kills fell between two networks


def test_killed_a_few_times(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 6, 0.5, seed=1)


@pytest.mark.slow
def test_killed_a_hundred_times(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 100, 0.5, seed=2)
