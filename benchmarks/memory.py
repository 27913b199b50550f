"""Peak memory of training on 1,000,000 rows of 8 columns with windows of 168.

python -m benchmarks.memory      one process: warm-up on small data, then the large; prints JSON
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

ROWS, COLUMNS, WINDOW = 1_000_000, 8, 168


def measure() -> dict[str, float]:
    """Return megabytes: the data's, and the peak above that of the same process after its warm-up."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory"], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def peak_bytes() -> int:
    """Return the most memory that this process has had so far."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the parent's memory too: it lives through fork and exec
        (line,) = (each for each in status.read_text().splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def train_on(rows: int, steps: int) -> int:
    """Train on a made-up series of so many rows; return its bytes."""
    from bptt.data import Windows
    from bptt.network import Network, Recurrent
    from bptt.optim import SGD
    from bptt.training import train

    rng = np.random.default_rng(0)
    series = np.empty((rows, COLUMNS))
    for start in range(0, rows, 10_000):
        part = series[start : start + 10_000]
        part[...] = rng.standard_normal(part.shape)
    windows = Windows(series, targets=[0], length=WINDOW, dtype="float32")
    net = Network(Recurrent("gru", COLUMNS, 32, dtype="float32", engine="compiled"))
    train(net, windows, optimizer=SGD(0.01), steps=steps, batch_size=32, progress=False)
    return series.nbytes


def main() -> None:
    train_on(2_000, 50)
    before = peak_bytes()
    data = train_on(ROWS, 200)
    growth = peak_bytes() - before
    print(json.dumps({"data": data / 1e6, "growth": growth / 1e6, "beyond the data": (growth - data) / 1e6}))


if __name__ == "__main__":
    main()
