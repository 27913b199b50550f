"""`bptt lab weather` on the embedded data: the first run ever, the second, and one with everything warm.

python -m benchmarks.startup FOLDER      one process that runs the command twice and prints the second's seconds
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = ("lab", "weather", "--data", "nyc", "--seeds", "1", "--quiet")


def measure(repeats: int = 2) -> dict[str, float]:
    """Return the best of `repeats` seconds each: "cold" with an empty cache folder, "second", and "warm"."""
    cold, second, warm = [], [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="bptt-bench-") as folder:
            environment = {**os.environ, "BPTT_CACHE_DIR": str(Path(folder) / "cache")}
            for times in (cold, second):
                begun = time.perf_counter()
                _run(["bptt", *COMMAND, "--out", str(Path(folder) / "out")], environment)
                times.append(time.perf_counter() - begun)
            warm.append(float(_run(["benchmarks.startup", folder], environment)))
    return {"cold": min(cold), "second": min(second), "warm": min(warm)}


def _run(module: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *module], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1]


def _twice(folder: str) -> float:
    from bptt.cli.collector import collect_seldom
    from bptt.cli.weather import run_weather

    seconds = 0.0
    with collect_seldom():  # as the command does
        for name in ("a", "b"):
            begun = time.perf_counter()
            run_weather("nyc", None, None, None, 0, 1, Path(folder) / name, None, True)
            seconds = time.perf_counter() - begun
    return seconds


if __name__ == "__main__":
    print(_twice(sys.argv[1]))
