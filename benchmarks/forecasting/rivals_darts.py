"""darts' recurrent models. `BlockRNNModel` reads all columns and the calendar; `RNNModel` the calendar alone."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import darts
import numpy as np
import pandas as pd
import torch
from darts import TimeSeries
from darts.models import BlockRNNModel, RNNModel

from benchmarks.forecasting.rivals_worker import Problem, read_problem

QUIET = {
    "enable_progress_bar": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "logger": False,
    "accelerator": "cpu",
}
PART = 2000


def version() -> str:
    return darts.__version__


def prepare(threads: int) -> None:
    torch.set_num_threads(threads)
    _hush()


def fit(problem: Problem, settings: dict[str, Any]) -> Theirs:
    given = dict(settings["given"])
    trainer = {**QUIET, "max_steps": given.pop("max_steps"), "max_epochs": -1, "gradient_clip_val": 1.0}
    block = settings["model"] == "BlockRNNModel"
    made: Any = (BlockRNNModel if block else RNNModel)(
        input_chunk_length=problem.window,
        random_state=settings["seed"],
        pl_trainer_kwargs=trainer,
        **({"output_chunk_length": problem.horizon} if block else {"training_length": problem.window + 24}),
        **given,
    )
    found = Theirs(made, problem, block)
    made.fit(found.y[: problem.train], **found.beside)
    return found


def load(folder: Path) -> Theirs:
    _hush()
    block = (folder / "block").exists()
    made = (BlockRNNModel if block else RNNModel).load(str(folder / "saved"))
    return Theirs(made, read_problem(folder), block)


class Theirs:
    """The toolkit's model."""

    def __init__(self, made: Any, problem: Problem, block: bool) -> None:
        self.made, self.problem, self.block = made, problem, block
        times = pd.to_datetime(problem.times)
        self.y = TimeSeries.from_times_and_values(times, problem.y.astype(np.float32))
        # A block model has no future inputs: it is given the calendar of the row to be forecast first.
        ahead = np.roll(problem.known, -1, axis=0)
        columns = np.column_stack([problem.past, ahead]) if block else problem.known
        series = TimeSeries.from_times_and_values(times, columns.astype(np.float32))
        self.beside = {"past_covariates" if block else "future_covariates": series}

    def forecasts(self) -> np.ndarray:
        problem, found = self.problem, []
        for begin in range(0, len(problem.origins), PART):
            some = problem.origins[begin : begin + PART]
            histories = [self.y[int(row) + 1 - problem.window : int(row) + 1] for row in some]
            beside = {name: [series] * len(some) for name, series in self.beside.items()}
            said = self.made.predict(problem.horizon, series=histories, show_warnings=False, **beside)
            found += [each.values()[:, 0] for each in said]
        return np.stack(found)

    def save(self, folder: Path) -> None:
        self.made.save(str(folder / "saved"))
        if self.block:
            (folder / "block").touch()

    def once(self) -> np.ndarray:
        end = self.problem.train
        history = self.y[end - self.problem.window : end]
        said = self.made.predict(self.problem.horizon, series=history, show_warnings=False, **self.beside)
        return said.values()[:, 0]


def _hush() -> None:
    warnings.simplefilter("ignore")
    for name in ("pytorch_lightning", "lightning_fabric", "darts"):
        logging.getLogger(name).setLevel(logging.ERROR)
