"""Ctrl-C and SIGTERM in every command that takes long: one line, status 130 or 143, and no half-written file."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send to one process"),
]

COMMANDS = {
    "fit": ("fit", "wave.csv", "--target", "y", "--ensemble", "400"),
    "backtest": ("backtest", "wave.csv", "--target", "y", "--ensemble", "400"),
    "demo": ("demo", "--seeds", "99", "--out", "out"),
    "gradcheck": ("gradcheck",),
    "weather": ("lab", "weather", "--seeds", "99", "--out", "out"),
    "sine": ("lab", "sine", "--seeds", "99", "--out", "out"),
    "noisy-sine": ("lab", "noisy-sine", "--seeds", "99", "--out", "out"),
    "addition": ("lab", "addition", "--seeds", "99", "--out", "out"),
    "gradients": ("lab", "gradients", "--seeds", "99", "--out", "out"),
}


def hears(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a handler of SIGTERM is there, as Linux tells: before that the signal just ends the process."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return True
    (caught,) = [line for line in status.read_text().splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_is_one_line_and_a_status(name: str, number: signal.Signals, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    days = np.datetime64("2020-01-01") + np.arange(900)
    rows = [f"{day},{y:.4f}" for day, y in zip(days, rng.standard_normal(900).cumsum(), strict=True)]
    (tmp_path / "wave.csv").write_text("\n".join(["day,y", *rows]) + "\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "bptt", *COMMANDS[name]],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A runner in the background may ignore SIGINT, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    until = time.monotonic() + 120
    while not hears(process) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    # Once it has said something, or has been at it for some seconds without a word.
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        ready.register(process.stderr, selectors.EVENT_READ)
        ready.select(timeout=6)
    time.sleep(rng.uniform(0, 1))
    process.send_signal(number)
    out, errors = process.communicate(timeout=120)
    told = errors.decode().replace("\r", "\n").splitlines()
    assert process.returncode == (130 if number == signal.SIGINT else 143), (out[-500:], told[-5:])
    last = [line for line in told if line.startswith(("bptt: interrupted", "bptt: terminated"))]
    assert len(last) == 1, told[-5:]
    assert "Traceback" not in errors.decode()
    assert not list(tmp_path.rglob("*.part"))
