"""The jobs: sizes, cells and data, in one place. Every engine starts from the same numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.cells import get_cell

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

RATE = 1e-3  # of SGD: nothing may diverge in thousands of steps


@dataclass(frozen=True)
class Job:
    """One training task.

    Attributes
    ----------
    D, H, K, T, B : int
        Inputs, units, outputs, steps, sequences a batch.
    every : bool
        Whether each step has a target, or the last one only.
    classes : bool
        Softmax cross-entropy on class numbers; else the mean squared error.
    cells : tuple of str
    series : bool
        Whether training draws windows from one long series (`Windows`), or ready-made examples.
    """

    name: str
    D: int
    H: int
    K: int
    T: int
    B: int
    cells: tuple[str, ...]
    every: bool = False
    classes: bool = False
    series: bool = False

    @property
    def sizes(self) -> str:
        """The sizes as a table shows them."""
        steps = "every step" if self.every else "last step"
        return f"{self.D} in, {self.H} units, {self.K} out, {self.T} steps, {self.B} rows, {steps}"


ALL = ("elman", "lstm", "gru")
JOBS = {
    job.name: job
    for job in (
        Job("weather", 6, 10, 1, 24, 32, ALL, series=True),
        Job("sine", 1, 100, 1, 25, 175, ALL),
        Job("noisy", 1, 500, 1, 200, 1, ("elman", "lstm"), every=True),
        Job("digits", 20, 100, 10, 10, 32, ("elman",), every=True, classes=True),
        Job("medium", 16, 64, 1, 96, 64, ALL, series=True),
        Job("large", 64, 256, 64, 128, 64, ALL, every=True),
    )
}
# What inference is timed on, and how many windows at once.
INFERENCE_JOBS = ("weather", "sine", "medium")
INFERENCE_ROWS = 1024

# One step from a resident state; B sequences of a cell that the user wrote.
STREAM = Job("stream", 8, 32, 1, 200, 1, ("elman", "lstm"), every=True)
OWN = {
    job.name: job
    for job in (
        Job("own-1", 6, 64, 1, 100, 1, ALL),
        Job("own-32", 6, 64, 1, 100, 32, ALL),
    )
}
EVERY_JOB = {**JOBS, **OWN, STREAM.name: STREAM}


@dataclass(frozen=True)
class Problem:
    """A job with its numbers.

    Attributes
    ----------
    parameters : dict of str to ndarray
        By our names: ``layers.0.W_xh`` (D, G * H), ..., ``readout.b_y`` (K,).
    x : ndarray (B, T, D)
    y : ndarray (B, K) or (B, T, K); class numbers (B, T)
    """

    job: Job
    cell: str
    parameters: Arrays
    x: Array
    y: Array

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of parameters and inputs."""
        return self.x.dtype


def make_problem(job: Job, cell: str, dtype: str, rows: int | None = None) -> Problem:
    """Return the numbers of a job: the same in every process.

    Recurrent weights have a gain of 0.9: beyond 1 the differences between two correct programs grow with every step.
    All are drawn in float32, so that float32 and float64 runs start from the same numbers.
    """
    rng = np.random.default_rng(20)
    plan = get_cell(cell).plan
    B = job.B if rows is None else rows

    def draw(shape: tuple[int, ...], sd: float = 1.0) -> Array:
        return (sd * rng.standard_normal(shape)).astype(np.float32).astype(dtype)

    sd = 0.9 / job.H**0.5
    p = {
        f"layers.0.{name}": draw((job.D if side == "x" else job.H, gates * job.H), sd)
        for name, (side, gates) in plan.weights.items()
    }
    p["layers.0.b_h"] = draw((len(plan.gates) * job.H,), 0.1)
    p.update({f"layers.0.{name}": draw((job.H,), 0.1) for name in plan.vectors})
    p["readout.W_hy"] = draw((job.H, job.K), 1 / job.H**0.5)
    p["readout.b_y"] = draw((job.K,), 0.1)
    if job.classes:
        # Two digits a step, each as ten indicators.
        digits = rng.integers(0, 10, size=(B, job.T, 2))
        x = np.eye(10, dtype=dtype)[digits].reshape(B, job.T, 20)
        return Problem(job, cell, p, x, digits.sum(axis=2) % job.K)
    x = draw((B, job.T, job.D))
    return Problem(job, cell, p, x, draw((B, job.T, job.K) if job.every else (B, job.K)))


def make_series(job: Job, rows: int = 8760) -> Array:
    """Return a series (rows, D) in float64 to draw windows from: a year of hours, scaled."""
    return np.random.default_rng(21).standard_normal((rows, job.D))
