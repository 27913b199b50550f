"""How much memory training takes beside the data: measured in a process of its own, as the system counts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from Linux' /proc"),
]

# Not getrusage: a new process begins with the peak of the one that started it.
PROGRAM = """
import json
import sys
import numpy as np
import bptt
from bptt.data import Stretches, Windows
from bptt.optim import SGD

MB = 1e6
settings = json.loads(sys.argv[1])


def peak():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / MB


def series(rows, columns):
    return np.random.default_rng(0).standard_normal((rows, columns))


def net(columns, readout):
    layer = bptt.Recurrent("elman", columns, 12, dtype=settings["dtype"], seed=1)
    return bptt.Network(layer, readout=readout, seed=1)


def windows(rows):
    values = series(rows, 8)
    source = Windows(values, targets=[3], length=168, dtype=settings["dtype"])
    training, held_out = source.split_last(settings["held_out"])
    bptt.train(
        net(8, "last"), training, validation=held_out, steps=24, evaluate_every=24, progress=False,
        batch_size=settings["batch_size"], sampling=settings["sampling"], optimizer=SGD(1e-4),
    )
    return values.nbytes / MB


def stretches(rows):
    values = series(rows, 2)
    source = Stretches(values, targets=[1], chunk=125, streams=8, warmup=25, dtype=settings["dtype"])
    training, held_out = source.split_last(0.1)
    bptt.train(net(2, "every"), training, validation=held_out, epochs=1, progress=False, optimizer=SGD(1e-4))
    return values.nbytes / MB


work = {"windows": windows, "stretches": stretches}[settings["work"]]
peaks, sizes = [], []
for rows in settings["rows"]:
    sizes.append(work(rows))
    peaks.append(peak())
print(json.dumps([peaks, sizes]))
"""


def measure(**settings: Any) -> tuple[float, float]:
    """Return by how many megabytes the second run's peak is above the first one's, and the size of its series."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(settings)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    peaks, sizes = json.loads(done.stdout)
    return peaks[1] - peaks[0], sizes[1]


@pytest.mark.parametrize(
    ("dtype", "batch_size", "sampling"),
    [("float32", 32, "random"), ("float32", 256, "shuffled"), ("float64", 64, "shuffled")],
)
def test_a_million_rows_train_within_data_and_a_hundred_megabytes(
    dtype: str, batch_size: int, sampling: str
) -> None:
    above, data = measure(
        work="windows", rows=[3000, 1_000_000], dtype=dtype, batch_size=batch_size, sampling=sampling, held_out=0.01
    )  # fmt: skip
    assert data == 64.0
    assert above <= data + 100.0
    # One copy in the working dtype, the starts and an order of them; another copy of the series is too much.
    own = (32.0 + 8.0 if dtype == "float32" else 64.0) + 8.0 + 8.0
    assert above <= data + own + 24.0


def test_carried_training_on_a_million_steps_takes_what_a_tenth_takes() -> None:
    above, data = measure(work="stretches", rows=[100_000, 1_000_000], dtype="float32")
    # The series, a copy of its inputs in float32 and one of its target in float64; the shorter run had a tenth of them.
    assert data == 16.0
    assert above <= 0.9 * (data + 8.0 + 8.0) + 8.0
