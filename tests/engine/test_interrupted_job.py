"""An interrupt while a pass is being handed to workers: its memory is theirs until they have left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.cells import get_cell
from bptt.engine import compiled, set_threads, threads
from bptt.engine.compiled import route
from bptt.engine.compiled.threads import team
from bptt.engine.compiled.threads.team_kernels import LINE, LINGERING
from tests.engine.test_compiled import draw


def test_no_worker_is_at_an_interrupted_pass_once_the_caller_has_it_back(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "WORTH", 0)
    monkeypatch.setattr(threads, "available_cpus", lambda: 16)
    route.find_route.cache_clear()
    cell = get_cell("lstm")
    drawn = draw(cell, (150, 70, 3, 33), "float64", rng)
    post = team._Pool.post

    def interrupted(self: Any, job: team.Job) -> None:
        post(self, job)
        raise KeyboardInterrupt

    monkeypatch.setattr(team._Pool, "post", interrupted)
    set_threads(3)
    try:
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                compiled.forward(cell, drawn["parameters"], drawn["x"])
            # A mailbox holds the address of the job that its worker has been offered, or is at.
            assert team._pool.workers
            assert max(team._pool.boxes[: LINE * len(team._pool.workers) : LINE]) <= LINGERING
    finally:
        set_threads(None)
        route.find_route.cache_clear()
