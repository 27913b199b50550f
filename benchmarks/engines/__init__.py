"""The engines under test, one module each. A worker loads one of them; a missing library is an ImportError there.

A module has ``version()`` and ``KINDS``: from a kind of task to a function of (problem, threads) that returns a
`Task`. `python -m benchmarks` starts one worker for each engine, so that none disturbs another's threads or memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

# name -> (module, what tables call it)
ENGINES = {
    "bptt": ("benchmarks.engines.ours", "bptt"),
    "pytorch": ("benchmarks.engines.pytorch", "PyTorch"),
    "jax": ("benchmarks.engines.jax_scan", "JAX"),
    "onnxruntime": ("benchmarks.engines.onnx_runtime", "ONNX Runtime"),
}


class Task(Protocol):
    """A job, ready to run on one engine."""

    def found(self) -> Mapping[str, np.ndarray]:
        """Return what is compared with the reference, from the starting weights, by our names."""

    def run(self, steps: int) -> float | None:
        """Run so many steps; return the seconds that count where they are not those of the whole call."""

    # A task may also have `pause_every(steps, count, pause)`: a run of so many steps, count times over, that calls
    # `pause` before each time and after the last. Where it has none, `run(steps)` is called between the pauses.
