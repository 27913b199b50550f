"""``python -m benchmarks.forecasting.many_series``: what a forecaster of very many short series costs.

Everything should grow as the number of series, or more slowly: of very many rows a share is drawn to learn from.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bptt

ROWS, HORIZON = 100, 6


def table(series: int, first: int, rows: int, seed: int = 0) -> dict[str, Any]:
    """Return months of yearly waves with noise, each at a height and a time of its own."""
    rng = np.random.default_rng(seed)
    t = np.arange(first, first + rows)
    height, shift = rng.uniform(10, 15, (series, 1)), rng.uniform(0, 6, (series, 1))
    y = height + 3 * np.sin(2 * np.pi * t / 12 + shift) + rng.standard_normal((series, rows))
    return {
        "unique_id": np.repeat([f"s{k:06}" for k in range(series)], rows),
        "ds": np.tile((np.datetime64("2010-01", "M") + t).astype("datetime64[s]"), series),
        "y": y.ravel(),
    }


def timed(name: str, work: Callable[[], object]) -> None:
    """Do some work; print its time on the wall and of the processors, and the largest memory so far."""
    begun, own = time.perf_counter(), time.process_time()
    work()
    elapsed, used = time.perf_counter() - begun, time.process_time() - own
    # In kB, on macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    print(f"{name:24}{elapsed:8.1f} s   processor{used:7.1f} s   at most {peak:.2f} GB", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecasting.many_series", description=__doc__)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=ROWS)
    asked = parser.parse_args(arguments)
    history, newest = table(asked.series, 0, asked.rows), table(asked.series, asked.rows, 1, seed=1)
    model = bptt.Forecaster("y", HORIZON)
    print(f"{asked.series:,} series of {asked.rows} rows, {HORIZON} months ahead")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        timed("fit", lambda: model.fit(history, progress=False))
        timed("predict", model.predict)
        timed("intervals of the table", lambda: model.predict_interval(history))
        timed("update by a row each", lambda: model.update(newest))
        timed("save", lambda: model.save(file))
        timed("load", lambda: bptt.load(file))
    return 0


if __name__ == "__main__":
    sys.exit(main())
