"""Whether engines compute the same: loss and every gradient against NumPy in float64, before any time is taken."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.jobs import Arrays, Problem, make_series
from bptt.data import Arrays as Examples
from bptt.data import Windows
from bptt.data.examples.batch import Batch, Indices, Source
from bptt.network import Network, Recurrent
from bptt.optim import SGD
from bptt.training import train

# Of a tensor's largest entry. Three programs that sum in different orders, with their own tanh: float32 was seen to
# differ from float64 by up to 7e-6. A wrong gate order or transpose is of the order of 1.
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}
# Of the way that the weights go in a few steps, which float32 resolves poorly.
FUSED_TOLERANCE = 1e-2


def make_net(problem: Problem, engine: str, cell: object = None) -> Network:
    """Return a network with the problem's starting weights."""
    job = problem.job
    stack = Recurrent(
        problem.cell if cell is None else cell,
        job.D,
        job.H,
        dtype=problem.dtype.name,
        engine=engine,
    )
    net = Network(
        stack,
        job.K,
        readout="every" if job.every else "last",
        loss="cross_entropy" if job.classes else "mse",
    )
    for name, value in problem.parameters.items():
        net.parameters[name][...] = value
    return net


def loss_and_gradients(net: Network, problem: Problem) -> Arrays:
    """Return the loss under the name "loss" and the gradients under their parameters' names."""
    found = net.loss_and_gradients(problem.x, problem.y)
    return {"loss": np.array(float(found.loss)), **found.gradients.parameters}


def reference(problem: Problem) -> Arrays:
    """Return loss and gradients of the same numbers by the NumPy engine in float64."""
    exact = Problem(
        problem.job,
        problem.cell,
        {name: value.astype(np.float64) for name, value in problem.parameters.items()},
        problem.x.astype(np.float64),
        problem.y if problem.job.classes else problem.y.astype(np.float64),
    )
    return loss_and_gradients(make_net(exact, "numpy"), exact)


def differences(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return max |found - wanted| / max |wanted| of each tensor; infinite where one is missing or misshapen."""
    result = {}
    for name, right in wanted.items():
        got = found.get(name)
        if got is None or np.shape(got) != np.shape(right):
            result[name] = float("inf")
            continue
        apart = np.max(np.abs(np.asarray(got, np.float64) - right), initial=0.0)
        error = float(apart / max(float(np.max(np.abs(right), initial=0.0)), np.finfo(np.float64).tiny))
        result[name] = error if np.isfinite(error) else float("inf")
    return result


def worst(errors: Mapping[str, float]) -> tuple[str, float]:
    """Return the tensor that differs most, and by how much."""
    return max(errors.items(), key=lambda item: item[1])


def training_data(problem: Problem) -> Source:
    """Return what training draws its batches from: windows of a series, or the problem's own examples."""
    job = problem.job
    if job.series:
        return Windows(make_series(job), targets=[0], length=job.T, dtype=problem.dtype.name)
    return Examples(problem.x, problem.y)


class OneByOne:
    """A source that only offers batches, so that training takes its steps one by one."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: Indices) -> Batch:
        return self.source.batch(indices)


def fused_difference(problem: Problem, steps: int = 3) -> float:
    """Return how far many steps in one call end from single ones, as a part of the way that the weights have gone.

    0.0 only where every bit is the same.
    """
    nets = [make_net(problem, "compiled") for _ in range(2)]
    data = training_data(problem)
    for net, source in zip(nets, (data, OneByOne(data)), strict=True):
        train(net, source, optimizer=SGD(0.1), steps=steps, batch_size=problem.job.B, progress=False)
    fused, single = (net.parameters for net in nets)
    if all(np.array_equal(fused[name], single[name]) for name in fused):
        return 0.0
    ways = [
        {name: np.asarray(p[name] - start, np.float64) for name, start in problem.parameters.items()}
        for p in (fused, single)
    ]
    return max(worst(differences(*ways))[1], float(np.finfo(np.float64).tiny))
