"""A fit that keeps its networks, in a process of its own: to be killed by its test."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from bptt.forecast import Forecaster
from tests.forecast.fitting.running.travelling_jobs import numbers_of
from tests.forecast.panels import NETWORK, make_panel

# Trainings that take long enough, and are enough, for kills to fall among them.
RECIPE = replace(NETWORK, updates=120, blocks=3)


def go(path: str | None, progress: object = False) -> str:
    panel = make_panel(np.random.default_rng(3), 623, 201)
    model = Forecaster(horizon=3, recipe=RECIPE, search=1, seed=2, threads=2)
    model.fit(panel, progress=progress, checkpoint=path, resume=path is not None)
    found = hashlib.sha256(model.verdict.encode())
    for array in numbers_of(model):
        found.update(array.tobytes())
    return found.hexdigest()


def go_on(folder: Path, connection: Connection) -> None:
    """Begin the fit, or go on with it, and write its digest at the end."""
    told: list[int] = []

    def progress(done: int, total: int) -> None:
        if not told:
            connection.send("begun")
        told.append(done)

    found = go(str(folder / "fit.ckpt"), progress)
    (folder / "digest").write_text(found)
