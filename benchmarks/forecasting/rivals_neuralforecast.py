"""neuralforecast's models; the calendar as its future inputs, the other columns as its historic ones."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import neuralforecast
import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MSE
from neuralforecast.models import GRU, LSTM, NHITS

from benchmarks.forecasting.rivals_worker import Problem, read_problem

MODELS = {"GRU": GRU, "LSTM": LSTM, "NHITS": NHITS}
QUIET = {
    "enable_progress_bar": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "logger": False,
    "accelerator": "cpu",
}


def version() -> str:
    return neuralforecast.__version__


def prepare(threads: int) -> None:
    torch.set_num_threads(threads)
    _hush()


def fit(problem: Problem, settings: dict[str, Any]) -> Theirs:
    frame = _frame(problem)
    model = MODELS[settings["model"]](
        h=problem.horizon,
        input_size=problem.window,
        hist_exog_list=[f"x{k}" for k in range(problem.past.shape[1])],
        futr_exog_list=[f"c{k}" for k in range(problem.known.shape[1])],
        loss=MSE(),
        alias="y_hat",
        random_seed=settings["seed"] + 1,
        **settings["given"],
        **QUIET,
    )
    made = NeuralForecast([model], freq="h")
    made.fit(frame[: problem.train])
    return Theirs(made, problem)


def load(folder: Path) -> Theirs:
    _hush()
    return Theirs(NeuralForecast.load(str(folder / "saved"), allow_pickle=True), read_problem(folder))


class Theirs:
    """The toolkit's model."""

    def __init__(self, made: Any, problem: Problem) -> None:
        self.made, self.problem = made, problem
        frame, end = _frame(problem), problem.train
        self.history = frame[end - problem.window : end].reset_index(drop=True)
        self.future = frame[end : end + problem.horizon].drop(columns=["y", *frame.filter(like="x").columns])

    def forecasts(self) -> np.ndarray:
        problem = self.problem
        found = self.made.cross_validation(
            _frame(problem),
            n_windows=None,
            test_size=len(problem.y) - 1 - int(problem.origins[0]),
            step_size=problem.spacing,
            use_fitted=True,
        )
        rows = np.searchsorted(problem.times, found["cutoff"].to_numpy().astype("datetime64[s]"))
        y_hat = found["y_hat"].to_numpy().reshape(-1, problem.horizon)
        assert (rows.reshape(-1, problem.horizon)[:, 0] == problem.origins).all()
        return y_hat

    def save(self, folder: Path) -> None:
        self.made.save(str(folder / "saved"), overwrite=True, save_dataset=False)

    def once(self) -> np.ndarray:
        return self.made.predict(df=self.history, futr_df=self.future)["y_hat"].to_numpy()


def _hush() -> None:
    warnings.simplefilter("ignore")
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _frame(problem: Problem) -> pd.DataFrame:
    columns = {f"x{k}": problem.past[:, k] for k in range(problem.past.shape[1])}
    columns |= {f"c{k}": problem.known[:, k] for k in range(problem.known.shape[1])}
    times = pd.to_datetime(problem.times)
    return pd.DataFrame({"unique_id": "y", "ds": times, "y": problem.y, **columns})
