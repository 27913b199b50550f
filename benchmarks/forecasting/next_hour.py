"""The next hour's temperature: Beijing by the lab's split, New York's LaGuardia by the same; defaults, three seeds."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from benchmarks.forecasting.series import HOUR, data_file, window_error
from benchmarks.forecasting.table import Measured
from bptt.data import Table, load_nyc, split_days
from bptt.data.beijing import load_beijing
from bptt.forecast import Forecaster
from bptt.forecast.panel import Line, Panel
from bptt.forecast.pieces import cut

# The lab's first test window sees 24 hours of the test part.
WINDOW, SEEDS = 24, 3


def beijing(seed: int, threads: int | None) -> list[Measured]:
    """Return the mean error of three seeds and the longest fit."""
    table = load_beijing(data_file("beijing_pm25.csv"))
    return _measure("Beijing, next hour", table, "TEMP", (1.10, 1.07), 60.0, seed, threads)


def nyc(seed: int, threads: int | None) -> list[Measured]:
    """Return the same for LaGuardia; 0.652 is the best that design and rivals reached."""
    table = load_nyc().table
    return _measure("LaGuardia, next hour", table, "TEMP", (0.652, None), 60.0, seed, threads)


def lab_panel(table: Table, target: str) -> tuple[Line, Panel, int]:
    """Return the whole series, the panel of its training rows by the lab's split, and how many those are."""
    train = split_days(len(table)).train.stop
    number = table.columns.index(target)
    past = tuple(column for column in table.columns if column != target)
    values = np.delete(table.values, number, axis=1)
    assert table.times is not None
    times = table.times.astype("datetime64[s]")
    line = Line("", times, times, table.values[:, number], values, np.zeros((len(times), 0)), np.zeros(0))
    return line, Panel((cut(line, 0, train),), target, past, (), (), HOUR), train


def _measure(
    name: str,
    table: Table,
    target: str,
    bar: tuple[float, float | None],
    seconds: float,
    seed: int,
    threads: int | None,
) -> list[Measured]:
    line, panel, train = lab_panel(table, target)
    errors, times_taken, verdict = [], [], ""
    for each in range(seed, seed + SEEDS):
        began = time.perf_counter()
        model = Forecaster(seed=each, threads=threads).fit(replace(panel), progress=False)
        times_taken.append(time.perf_counter() - began)
        errors.append(float(np.sqrt(window_error(model, line, train + WINDOW, 1))))
        verdict = model.verdict
    return [
        Measured(name, "RMSE, its unit", float(np.mean(errors)), *bar, verdict),
        Measured(name, "seconds a fit", max(times_taken), seconds),
    ]
