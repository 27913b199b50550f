"""M4 Hourly: 414 series, 48 steps, one global model, the competition's sMAPE, MASE and OWA.

The files name no times, only that the rows are hours: the clock is made up, and no calendar is read from it.
"""

from __future__ import annotations

import csv
import gzip
import time

import numpy as np

from benchmarks.forecasting.series import data_file, hourly_line, hourly_panel
from benchmarks.forecasting.table import Measured
from bptt.checks import Array
from bptt.forecast import Forecaster

HORIZON, SEASON = 48, 24
# sMAPE and MASE of the competition's reference, Naive2.
NAIVE2 = (18.383, 2.395)
ALLOWED, AIM, MINUTES = 0.55, 0.440, 10.0
START = np.datetime64("2000-01-01T00:00:00", "s")


def read(part: str) -> list[Array]:
    """Return the series of "train" or "test"."""
    with gzip.open(data_file(f"m4/Hourly-{part}.csv.gz"), "rt") as file:
        rows = list(csv.reader(file))[1:]
    return [np.array([float(value) for value in row[1:] if value not in ("", "NA")]) for row in rows]


def scores(train: list[Array], test: list[Array], said: Array) -> tuple[float, float, float]:
    """Return sMAPE in percent, MASE and OWA, means over series of means over the horizon."""
    smape, mase = [], []
    for x, y, y_hat in zip(train, test, said, strict=True):
        size = np.abs(y - y_hat)
        smape.append((200 * size / (np.abs(y) + np.abs(y_hat))).mean())
        mase.append(size.mean() / np.abs(x[SEASON:] - x[:-SEASON]).mean())
    pair = float(np.mean(smape)), float(np.mean(mase))
    return *pair, (pair[0] / NAIVE2[0] + pair[1] / NAIVE2[1]) / 2


def run(seed: int, threads: int | None) -> list[Measured]:
    """Return the three scores and the time."""
    train, test = read("train"), read("test")
    panel = hourly_panel([hourly_line(f"H{k + 1:03d}", START, x) for k, x in enumerate(train)])
    began = time.perf_counter()
    model = Forecaster(horizon=HORIZON, calendar=None, seed=seed, threads=threads).fit(panel, progress=False)
    said = np.asarray(model.predict()["y_hat"]).reshape(len(train), HORIZON)
    minutes = (time.perf_counter() - began) / 60
    smape, mase, owa = scores(train, test, said)
    return [
        Measured("M4 Hourly", "sMAPE, %", smape, None),
        Measured("M4 Hourly", "MASE", mase, None),
        Measured("M4 Hourly", "OWA", owa, ALLOWED, AIM, model.verdict),
        Measured("M4 Hourly", "minutes", minutes, MINUTES),
    ]
