"""Random parameters and gradients, and a run of an optimiser over them: what the optimiser tests share."""

from __future__ import annotations

import numpy as np

SHAPES = {
    "layers.0.W_xh": (3, 8),
    "layers.0.b_h": (8,),
    "layers.0.p_i": (4,),
    "initial.h": (1, 4),
    "readout.W_hy": (4, 2),
    "readout.b_y": (2,),
}
STEPS = 7


def problem(rng, dtype="float64"):
    """Random parameters, and random gradients of very different sizes for every step."""
    parameters = {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}
    gradients = [
        {
            name: (10 ** rng.uniform(-3, 2) * rng.normal(size=shape)).astype(dtype)
            for name, shape in SHAPES.items()
        }
        for _ in range(STEPS)
    ]
    return parameters, gradients


def run(optimizer, parameters, gradients):
    """Return the parameters after every step, and the slots; the given parameters stay as they were."""
    moving = {name: p.copy() for name, p in parameters.items()}
    slots = optimizer.init(moving)
    trace = []
    for step, each in enumerate(gradients):
        optimizer.update(moving, each, slots, step)
        trace.append({name: p.copy() for name, p in moving.items()})
    return trace, slots


def assert_traces_agree(found, right, **tolerance):
    for step, (ours, theirs) in enumerate(zip(found, right, strict=True)):
        for name in SHAPES:
            np.testing.assert_allclose(
                ours[name], theirs[name], err_msg=f"{name} at step {step}", **tolerance
            )


def run_torch(make, parameters, gradients, rate=None):
    """As `run`, with ``make(list of tensors)`` an optimiser of PyTorch; `rate` a function of the step."""
    import torch

    moving = {name: torch.nn.Parameter(torch.tensor(p)) for name, p in parameters.items()}
    optimizer = make(moving)
    trace = []
    for step, each in enumerate(gradients):
        for name, p in moving.items():
            p.grad = torch.tensor(each[name])
        if rate is not None:
            for group in optimizer.param_groups:
                group["lr"] = rate(step)
        optimizer.step()
        trace.append({name: p.detach().numpy().copy() for name, p in moving.items()})
    return trace
