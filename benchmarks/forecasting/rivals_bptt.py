"""Our side of the comparison with the toolkits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import bptt
from benchmarks.forecasting.rivals_worker import Problem, read_problem
from bptt.forecast import Forecaster, Recipe
from bptt.forecast.fitting.trained import forecast_line
from bptt.forecast.panel import Line, Panel
from bptt.forecast.pieces import cut

HOUR = np.timedelta64(3600, "s")


def version() -> str:
    return bptt.__version__


def prepare(threads: int) -> None:
    bptt.engine.set_threads(threads)


def fit(problem: Problem, settings: dict[str, Any]) -> Ours:
    line = _line(problem)
    names = tuple(f"x{k}" for k in range(problem.past.shape[1]))
    panel = Panel((cut(line, 0, problem.train),), "y", names, (), (), HOUR)
    model = Forecaster(
        horizon=problem.horizon,
        recipe=Recipe(**settings.get("recipe", {})),
        seed=settings["seed"],
        threads=settings["threads"],
        **settings.get("given", {}),
    )
    return Ours(model.fit(panel, progress=False), problem)


def load(folder: Path) -> Ours:
    return Ours(bptt.load(folder / "saved.safetensors"), read_problem(folder))


class Ours:
    """The forecaster, and the row that comes next in the history."""

    def __init__(self, model: Any, problem: Problem) -> None:
        self.model, self.problem, self.row = model, problem, problem.train

    def forecasts(self) -> np.ndarray:
        return forecast_line(self.model.fitted.trained, _line(self.problem), self.problem.origins)

    def save(self, folder: Path) -> None:
        self.model.save(folder / "saved.safetensors")

    def once(self) -> np.ndarray:
        # A new row of the history is taken in: the toolkits read their whole window again instead.
        row, self.row = self.row, self.row + 1
        values = {f"x{k}": value for k, value in enumerate(self.problem.past[row].tolist())}
        return self.model.step({"y": float(self.problem.y[row]), **values})


def _line(problem: Problem) -> Line:
    nothing = np.zeros((len(problem.y), 0))
    return Line("", problem.times, problem.times, problem.y, problem.past, nothing, np.zeros(0))
