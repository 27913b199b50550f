"""The next hour's temperature: Beijing by the lab's split, New York's LaGuardia by the same; defaults, three seeds.

Beside the error stand the 90 % interval (over all, in the worst hour and month, its score) and both times of a fit: on
the wall, and of all processors, which other work on the machine hardly changes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.forecasting.series import HOUR, data_file
from benchmarks.forecasting.table import Measured
from bptt.checks import Array
from bptt.data import Table, load_nyc, split_days
from bptt.data.weather.beijing import load_beijing
from bptt.forecast import Forecaster
from bptt.forecast.features.encoding import encode
from bptt.forecast.fitting.intervals.moments import moment
from bptt.forecast.panel import Line, Panel
from bptt.forecast.pieces import cut

# The lab's first test window sees 24 hours of the test part.
WINDOW, SEEDS, SECONDS = 24, 3, 60.0
# What is asked of the interval: overall within so many points of 90 %, nowhere missing more, and its mean score.
OFF, MISSED, SCORE = 2.0, 15.0, 5.2


def beijing(seed: int, threads: int | None) -> list[Measured]:
    """Return the mean error of three seeds, the worst of their intervals, and the longest fit."""
    table = load_beijing(data_file("beijing_pm25.csv"))
    return _measure("Beijing, next hour", table, "TEMP", (1.10, 1.07), (OFF, MISSED, SCORE), seed, threads)


def nyc(seed: int, threads: int | None) -> list[Measured]:
    """Return the same for LaGuardia; 0.652 is the best that design and rivals reached."""
    table = load_nyc().table
    nothing = (None, None, None)
    return _measure("LaGuardia, next hour", table, "TEMP", (0.652, None), nothing, seed, threads)


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


def judge_interval(model: Forecaster, line: Line, rows: Array) -> tuple[float, float, float, float, float]:
    """Return of the next row's forecasts after these: RMSE; of 90 % intervals points off, misses, both in %, score.

    Points off is how far their coverage is from 90 %; the misses are those of the worst hour or month.
    """
    trained, intervals = model.fitted.trained, model.fitted.intervals
    encoded = encode(trained.encoding, line)
    z, y, times = trained.forecast(encoded, rows), line.y[rows + 1], line.times[rows + 1]
    features = moment(trained.encoding.calendar, intervals.floor, encoded, rows)
    ends = intervals.offsets(features, np.array([0.05, 0.95]), around=True)
    y_hat, low, high = (trained.in_units(encoded, z + each)[:, 0] for each in (0.0, *ends))
    inside = (low <= y) & (y <= high)
    hour = (times - times.astype("datetime64[D]")) // HOUR
    month = times.astype("datetime64[M]").astype(int) % 12
    worst = min(inside[at == k].mean() for at in (hour, month) for k in np.unique(at))
    score = high - low + 20 * (np.maximum(low - y, 0) + np.maximum(y - high, 0))
    return (
        float(np.sqrt(((y_hat - y) ** 2).mean())),
        float(100 * abs(inside.mean() - 0.9)),
        float(100 * (1 - worst)),
        float(score.mean()),
        float(100 * inside.mean()),
    )


def _measure(
    name: str,
    table: Table,
    target: str,
    bar: tuple[float, float | None],
    interval: tuple[float | None, float | None, float | None],
    seed: int,
    threads: int | None,
) -> list[Measured]:
    line, panel, train = lab_panel(table, target)
    rows = np.arange(train + WINDOW - 1, len(line) - 1)
    judged, times_taken, verdict = [], [], ""
    for each in range(seed, seed + SEEDS):
        began, worked = time.perf_counter(), time.process_time()
        model = Forecaster(seed=each, threads=threads).fit(replace(panel), progress=False)
        times_taken.append((time.perf_counter() - began, time.process_time() - worked))
        judged.append(judge_interval(model, line, rows))
        verdict = model.verdict
    rmse, off, missed, score, covered = zip(*judged, strict=True)
    told = ", ".join(f"{each:.3f}" for each in rmse)
    wall, processor = (max(each) for each in zip(*times_taken, strict=True))
    return [
        Measured(name, "RMSE, its unit", float(np.mean(rmse)), *bar, f"{verdict} (seeds: {told})"),
        Measured(
            f"{name}, 90 % interval", "points off", max(off), interval[0], None, _listed(covered, "covers")
        ),
        Measured(f"{name}, worst hour, month", "misses, %", max(missed), interval[1]),
        Measured(f"{name}, interval", "score", max(score), interval[2]),
        Measured(name, "seconds a fit", wall, SECONDS),
        Measured(name, "of processors", processor, None),
    ]


def _listed(values: Sequence[float], what: str) -> str:
    return f"{what} " + ", ".join(f"{each:.2f}" for each in values) + " %"
