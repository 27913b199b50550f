"""ETTh1, multivariate: 12, 4 and 4 months, scaled by the first 12, all windows of the last 4.

One global model learns the seven columns as seven series (the long form); each is forecast from its own past alone. It
is given the 16 months before the test: it chooses on the newest fifth of them, then learns from all.
With `train_only` it is given the first 12 months, as those are that train until the 4 months of validation stop them.
"""

from __future__ import annotations

import csv
import time

import numpy as np

from benchmarks.forecasting.series import data_file, hourly_line, hourly_panel, window_error
from benchmarks.forecasting.table import Measured
from bptt.forecast import Forecaster
from bptt.forecast.pieces import cut

MONTH = 30 * 24
TRAIN, VALIDATION, TEST = 12 * MONTH, 4 * MONTH, 4 * MONTH
# Horizon: what is allowed, what is aimed at.
BARS = {96: (0.370, 0.351), 192: (0.403, 0.392), 336: (0.428, 0.423), 720: (0.434, None)}
MINUTES = 20.0


def run(seed: int, threads: int | None, train_only: bool = False) -> list[Measured]:
    """Return the error at each horizon, and the time of all."""
    with data_file("ett/ETTh1.csv").open() as file:
        rows = list(csv.reader(file))
    names, start = rows[0][1:], np.datetime64(rows[1][0].replace(" ", "T"), "s")
    values = np.array([row[1:] for row in rows[1 : 1 + TRAIN + VALIDATION + TEST]], float)
    scaled = (values - values[:TRAIN].mean(axis=0)) / values[:TRAIN].std(axis=0)
    lines = [hourly_line(name, start, scaled[:, k]) for k, name in enumerate(names)]
    training = hourly_panel([cut(line, 0, TRAIN if train_only else TRAIN + VALIDATION) for line in lines])
    found, began = [], time.perf_counter()
    for horizon, (limit, aim) in BARS.items():
        model = Forecaster(horizon=horizon, seed=seed, threads=threads).fit(training, progress=False)
        error = float(np.mean([window_error(model, line, TRAIN + VALIDATION, horizon) for line in lines]))
        found.append(
            Measured(f"ETTh1, {horizon} hours ahead", "MSE, scaled", error, limit, aim, model.verdict)
        )
    minutes = (time.perf_counter() - began) / 60
    return [*found, Measured("ETTh1, all four", "minutes", minutes, MINUTES)]
