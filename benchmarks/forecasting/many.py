"""Many series: a thousand of two thousand hours, one model; time, memory, and how fast a series is forecast.

The series are waves of a day and a week of many shapes with a level that wanders. Peak memory is that of this process,
so run the job alone. A model file is then read by a new Python, which is timed from its first line to the forecast.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.forecasting.series import hourly_line, hourly_panel
from benchmarks.forecasting.table import Measured
from bptt.forecast import Forecaster, Recipe
from bptt.forecast.panel import Panel

SERIES, ROWS, HORIZON, WARM = 1000, 2000, 24, 200
MINUTES, MEGABYTES, FIRST, WARM_MS = 2.0, 1000.0, 0.5, 0.2
START = np.datetime64("2020-01-06T00:00:00", "s")
FIRST_FORECAST = """
import time
began, worked = time.perf_counter(), time.process_time()
import json, sys, bptt
model = bptt.load(sys.argv[1])
said = model.predict()
print(json.dumps([time.perf_counter() - began, time.process_time() - worked]))
"""


def simulated(series: int, rows: int, seed: int) -> Panel:
    """Return the panel."""
    rng = np.random.default_rng(seed)
    hours = np.arange(rows)
    lines = []
    for k in range(series):
        day = sum(
            rng.normal() / n * np.sin(2 * np.pi * n * hours / 24 + rng.uniform(0, 6)) for n in (1, 2, 3)
        )
        week = rng.normal() * np.sin(2 * np.pi * hours / 168 + rng.uniform(0, 6)) / 2
        noise = rng.standard_normal((2, rows))
        y = 3 * day + week + np.cumsum(noise[0]) / 20 + noise[1] * rng.uniform(0.2, 1.0)
        lines.append(hourly_line(f"s{k:04d}", START, np.exp(rng.uniform(0, 8)) * (10 + y)))
    return hourly_panel(lines)


def run(seed: int, threads: int | None) -> list[Measured]:
    """Return minutes, processor seconds and peak memory of a fit; load and first forecast; a warm forecast."""
    panel = simulated(SERIES, ROWS, seed)
    began, worked = time.perf_counter(), time.process_time()
    model = Forecaster(horizon=HORIZON, seed=seed, threads=threads).fit(panel, progress=False)
    wall, worked = time.perf_counter() - began, time.process_time() - worked
    megabytes = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform != "darwin" else 1) / 1e6
    )
    recipe = Recipe(step_back=False)  # five networks, whatever validation says
    one = Forecaster(horizon=HORIZON, recipe=recipe, seed=seed, threads=threads)
    one.fit(simulated(1, ROWS, seed), progress=False)
    (first, processor), (warm, taken) = first_forecast(one), warm_forecasts(one)
    name = f"{SERIES:,} series of {ROWS:,}"
    return [
        Measured(name, "minutes", wall / 60, MINUTES, None, model.verdict),
        Measured(name, "s of processors", worked, None),
        Measured(name, "megabytes", megabytes, MEGABYTES),
        Measured("One series, load and first", "seconds", first, FIRST, None, one.verdict),
        Measured("One series, load and first", "s of processors", processor, None),
        Measured("One series, warm", "milliseconds", 1000 * warm, WARM_MS),
        Measured("One series, a row more", "milliseconds", 1000 * taken, WARM_MS),
    ]


def first_forecast(model: Forecaster, times: int = 5) -> tuple[float, float]:
    """Return the least of some new processes from before the import to the forecast: on the wall, of processors."""
    with tempfile.TemporaryDirectory() as folder:
        path = model.save(Path(folder) / "one.safetensors")
        command = [sys.executable, "-c", FIRST_FORECAST, str(path)]
        found = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for _ in range(times)
        ]
    return min(wall for wall, _ in found), min(processor for _, processor in found)


def warm_forecasts(model: Forecaster, times: int = WARM) -> tuple[float, float]:
    """Return the shortest time of a forecast as the series stands, and of taking a row in and forecasting, seconds."""
    asked, taken = [], []
    for _ in range(times):
        began = time.perf_counter()
        said = model.predict()
        asked.append(time.perf_counter() - began)
        y = float(np.asarray(said["y_hat"])[0])
        began = time.perf_counter()
        model.step({"y": y})
        taken.append(time.perf_counter() - began)
    return min(asked), min(taken)
