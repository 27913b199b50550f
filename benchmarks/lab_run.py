"""The weather lab's own training, 500 steps, with everything warm."""

from __future__ import annotations

import time

from bptt.data import Scaler, Windows, load_weather, split_days
from bptt.labs.weather import WINDOW_ROWS, lab_recipe


def measure(repeats: int = 7) -> dict[str, float]:
    """Return milliseconds of `bptt.labs.weather.lab_recipe` on the embedded data: best and median."""
    data = load_weather("nyc")
    rows = split_days(len(data.values)).train
    scaler = Scaler.fit(data.values[rows], data.columns, constant="keep")
    training = scaler.transform(data.values)[rows]
    windows = Windows(training, targets=[data.target_index], length=WINDOW_ROWS)
    lab_recipe(windows, seed=0)
    spent = []
    for _ in range(repeats):
        begun = time.perf_counter()
        lab_recipe(windows, seed=0)
        spent.append(1e3 * (time.perf_counter() - begun))
    return {"best": min(spent), "median": sorted(spent)[repeats // 2]}
