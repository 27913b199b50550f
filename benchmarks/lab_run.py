"""The weather lab's own training, 500 steps, with everything warm."""

from __future__ import annotations

import time

from benchmarks.timing import Samples
from bptt.data import Scaler, Windows, load_weather, split_days
from bptt.labs.weather.lab import WINDOW_ROWS, lab_recipe


def measure(repeats: int = 15) -> Samples:
    """Return the times of `bptt.labs.weather.lab.lab_recipe` on the embedded data, everything warm."""
    data = load_weather("nyc")
    rows = split_days(len(data.values)).train
    scaler = Scaler.fit(data.values[rows], data.columns, constant="keep")
    training = scaler.transform(data.values)[rows]
    windows = Windows(training, targets=[data.target_index], length=WINDOW_ROWS)
    lab_recipe(windows, seed=0)
    found = Samples()
    for _ in range(repeats):
        begun, processor = time.perf_counter(), time.process_time()
        lab_recipe(windows, seed=0)
        elapsed = time.perf_counter() - begun
        found.add(elapsed, (time.process_time() - processor) / elapsed)
    return found
