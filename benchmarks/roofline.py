"""The shortest time that a training step can take on a machine whose peaks are known."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.jobs import Job

GATES = {"elman": 1, "lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Machine:
    """One core, as the probes found it in the run.

    Attributes
    ----------
    flops : float
        Multiply-adds count two; a second.
    bandwidth : float
        Bytes a second that one core reads from wherever weights of the job's size lie.
    """

    flops: float
    bandwidth: float


def step_flops(job: Job, cell: str) -> dict[str, float]:
    """Return the multiply-adds, times two, of each phase of a training step; elementwise work is not counted.

    The gradient with respect to x is not needed, so the input's part has two products and the recurrent part three.
    """
    rows = job.T * job.B
    recurrent = 2.0 * rows * GATES[cell] * job.H * job.H
    inputs = 2.0 * rows * GATES[cell] * job.H * job.D
    readout = 2.0 * (rows if job.every else job.B) * job.H * job.K
    return {
        "forward": recurrent + inputs + readout,
        "backward": recurrent + readout,
        "gradients": recurrent + inputs + readout,
    }


def weight_bytes(job: Job, cell: str, itemsize: int) -> int:
    """Return the size of the recurrent weights, which either sweep reads once a step."""
    return GATES[cell] * job.H * job.H * itemsize


def step_limit(job: Job, cell: str, itemsize: int, machine: Machine) -> float:
    """Return the seconds below which no training step can be on one core.

    Each phase takes the longer of its arithmetic and its reading: the sweeps read the recurrent weights anew at every
    step, which is what bounds a single sequence.
    """
    flops = step_flops(job, cell)
    reading = job.T * weight_bytes(job, cell, itemsize) / machine.bandwidth
    sweeps = sum(max(flops[phase] / machine.flops, reading) for phase in ("forward", "backward"))
    return sweeps + flops["gradients"] / machine.flops


def inference_flops(job: Job, cell: str, rows: int) -> float:
    """Return the same for a forward pass over `rows` windows with a readout of the last step."""
    return 2.0 * rows * (job.T * GATES[cell] * job.H * (job.H + job.D) + job.H * job.K)
