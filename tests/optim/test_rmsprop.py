"""RMSProp against the closed form of its running mean."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.optim import InverseTime, RMSProp
from tests.optim.runs import STEPS, assert_traces_agree, problem, run, run_torch

ROUNDING = {"rtol": 1e-12, "atol": 1e-13}  # float64; the mean is summed in another order
SINGLE = {"rtol": 1e-5, "atol": 1e-6}  # float32, steps of about the learning rate


def by_hand(parameters, gradients, rates, rho, epsilon):
    trace = []
    for t in range(1, STEPS + 1):
        after = {}
        for name, p in parameters.items():
            moved = p.copy()
            for step in range(t):
                past = np.stack([each[name] for each in gradients[: step + 1]])
                shares = (1 - rho) * rho ** np.arange(step, -1, -1)
                mean_square = np.tensordot(shares, past**2, axes=1)
                moved = moved - rates[step] * past[-1] / (mean_square**0.5 + epsilon)
            after[name] = moved
        trace.append(after)
    return trace


@pytest.mark.parametrize(("rho", "epsilon"), [(0.9, 1e-8), (0.6, 0.3), (0.0, 1e-8)])
def test_against_the_closed_form(rng, rho, epsilon):
    parameters, gradients = problem(rng)
    found, slots = run(RMSProp(0.02, rho, epsilon), parameters, gradients)
    assert_traces_agree(found, by_hand(parameters, gradients, [0.02] * STEPS, rho, epsilon), **ROUNDING)
    assert all(set(held) == {"s"} for held in slots.values())


def test_schedule(rng):
    parameters, gradients = problem(rng)
    found, _ = run(RMSProp(InverseTime(0.02, 0.5)), parameters, gradients)
    rates = [0.02 / (1 + 0.5 * t) for t in range(STEPS)]
    assert_traces_agree(found, by_hand(parameters, gradients, rates, 0.9, 1e-8), **ROUNDING)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_against_pytorch(rng, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'bptt[torch]'")
    parameters, gradients = problem(rng, dtype)
    found, _ = run(RMSProp(0.02, 0.8, 1e-6), parameters, gradients)
    right = run_torch(
        lambda p: torch.optim.RMSprop(list(p.values()), lr=0.02, alpha=0.8, eps=1e-6), parameters, gradients
    )
    assert_traces_agree(found, right, **(ROUNDING if dtype == "float64" else SINGLE))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RMSProp(rho=1), "rho must be below 1. Got 1"),
        (lambda: RMSProp(epsilon=0), "epsilon must be above 0. Got 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert str(caught.value) == message
