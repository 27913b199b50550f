"""One toolkit in a process of its own, by the Python that has it; needs NumPy and the toolkit, nothing of ours.

python -m benchmarks.forecasting.rivals_worker fit MODULE FOLDER      trains, forecasts the test part, saves
python -m benchmarks.forecasting.rivals_worker first MODULE FOLDER    loads and forecasts once

What was found is printed as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

WARM = 15


@dataclass(frozen=True)
class Problem:
    """One series with columns beside it; the same for every toolkit.

    Attributes
    ----------
    times : ndarray datetime64[s] (T,)
    y : ndarray (T,)
        In units of the training rows' deviation, as the columns.
    past, known : ndarray (T, P), (T, Q)
        Measured together with y; the calendar.
    train : int
        Rows to learn from.
    origins : ndarray of int (N,)
        Rows after which a forecast is made, evenly spaced up to `horizon` rows before the end.
    horizon, window : int
        Rows ahead, and rows of the history that a forecast may read.
    """

    times: np.ndarray
    y: np.ndarray
    past: np.ndarray
    known: np.ndarray
    train: int
    origins: np.ndarray
    horizon: int
    window: int

    @property
    def spacing(self) -> int:
        """Rows from one origin to the next."""
        return int(self.origins[1] - self.origins[0])


class Rival(Protocol):
    """A toolkit's model, trained."""

    def forecasts(self) -> np.ndarray:
        """Return the forecasts after every origin, (N, K)."""

    def save(self, folder: Path) -> None:
        """Write it."""

    def once(self) -> np.ndarray:
        """Forecast one series after its last row, (K,)."""


def write_problem(problem: Problem, folder: Path) -> None:
    """Write what the workers read."""
    np.savez(folder / "problem.npz", **vars(problem))


def read_problem(folder: Path) -> Problem:
    """Return what was written."""
    with np.load(folder / "problem.npz") as file:
        found: dict[str, Any] = {name: file[name] for name in file.files}
    return Problem(**found | {name: int(found[name]) for name in ("train", "horizon", "window")})


def installed_megabytes() -> float:
    """Return what lies in this environment's site-packages, but for pip and setuptools."""
    root = Path(sysconfig.get_paths()["purelib"])
    tools = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    sizes = (
        path.stat().st_size
        for top in root.iterdir()
        if not top.name.startswith(tools)
        for path in ([top] if top.is_file() else top.rglob("*"))
        if path.is_file()
    )
    return sum(sizes) / 1e6


def run_fit(module: Any, folder: Path) -> dict[str, Any]:
    problem, settings = read_problem(folder), json.loads((folder / "settings.json").read_text())
    module.prepare(settings["threads"])
    processor, begun = time.process_time(), time.perf_counter()
    rival = module.fit(problem, settings)
    wall, processor = time.perf_counter() - begun, time.process_time() - processor
    begun = time.perf_counter()
    np.save(folder / "forecasts.npy", rival.forecasts())
    forecasting = time.perf_counter() - begun
    rival.save(folder)
    rival.once()
    warm = []
    for _ in range(WARM):
        begun = time.perf_counter()
        rival.once()
        warm.append(time.perf_counter() - begun)
    return {
        "wall": wall,
        "processor": processor,
        "forecasting": forecasting,
        "warm": min(warm),
        "version": module.version(),
        "megabytes": installed_megabytes(),
    }


def main() -> None:
    # The answer gets a channel of its own: whatever a library prints goes to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    task, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    module = importlib.import_module(f"benchmarks.forecasting.{name}")
    if task == "fit":
        found = run_fit(module, folder)
    else:
        found = {"first": float(np.asarray(module.load(folder).once()).reshape(-1)[0])}
    answers.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
