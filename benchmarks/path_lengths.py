"""The gradient by path length: T = 200, H = 100, B = 32, a loss at every step, all lengths.

    python -m benchmarks.path_lengths

The bars are 2 s for an Elman network and 8 s for an LSTM. The parts' sum is compared with the full gradient: a fast
wrong answer is not reported. Beside the seconds stand those of the processor, which a busy machine does not stretch.
"""

from __future__ import annotations

import time

import numpy as np

from bptt.diagnostics import gradient_by_path_length
from bptt.network import Network, Recurrent

T, H, B, D = 200, 100, 32, 4
BARS = {"elman": 2.0, "gru": None, "lstm": 8.0}
REPEATS = 3
RTOL = 1e-12


def measure(cell: str) -> tuple[float, float, float]:
    """Return the best seconds of a few runs, on the clock and of the processor, and how far the parts' sum is off."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, 1))
    net = Network(Recurrent(cell, D, H, dtype="float64", seed=0), 1, readout="every")
    seconds, processor = [], []
    for _ in range(REPEATS):
        begun, worked = time.perf_counter(), time.process_time()
        parts = gradient_by_path_length(net, x, y)
        seconds.append(time.perf_counter() - begun)
        processor.append(time.process_time() - worked)
    full = net.loss_and_gradients(x, y).gradients.parameters
    total = parts.total()
    error = max(float(np.abs(total[n] - d).max() / np.abs(d).max()) for n, d in full.items())
    return min(seconds), min(processor), error


def main() -> None:
    """Print a line for each cell."""
    for cell, bar in BARS.items():
        seconds, processor, error = measure(cell)
        if error > RTOL:
            raise SystemExit(f"{cell}: the parts' sum must be the gradient to {RTOL:g}. Got {error:.1e}")
        asked = "" if bar is None else f" (bar: {bar:g} s)"
        print(f"{cell}: {seconds:.2f} s, {processor:.2f} s of processor{asked}; parts add up to {error:.0e}")


if __name__ == "__main__":
    main()
