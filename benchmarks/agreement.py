"""Whether engines compute the same: loss and every gradient against NumPy in float64, before any time is taken."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.jobs import Arrays, Problem
from bptt.data import Arrays as Examples
from bptt.network import Network, Recurrent
from bptt.optim import SGD
from bptt.training import train

# Of a tensor's largest entry. Three programs that sum in different orders, with their own tanh: float32 was seen to
# differ from float64 by up to 5e-6 (JAX's tanh is the coarsest). A wrong gate order or transpose is of the order of 1.
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}


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


class OneByOne:
    """Examples as a source that only offers batches, so that training takes its steps one by one."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.source = Examples(x, y)

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: object) -> object:
        return self.source.batch(indices)


def fused_equals_steps(problem: Problem, steps: int = 3) -> bool:
    """Return whether many steps in one call leave the same bits as steps taken one by one."""
    nets = [make_net(problem, "compiled") for _ in range(2)]
    for net, data in zip(nets, (Examples(problem.x, problem.y), OneByOne(problem.x, problem.y)), strict=True):
        train(net, data, optimizer=SGD(0.01), steps=steps, batch_size=problem.job.B, progress=False)
    first, second = (net.parameters for net in nets)
    return all(np.array_equal(first[name], second[name]) for name in first)
