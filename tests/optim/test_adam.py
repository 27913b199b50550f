"""Adam and AdamW against the closed form of their running means."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.optim import Adam, AdamW, Cosine
from tests.optim.runs import STEPS, assert_traces_agree, problem, run, run_torch

ROUNDING = {"rtol": 1e-12, "atol": 1e-13}  # float64; the means are summed in another order
SINGLE = {"rtol": 1e-5, "atol": 1e-5}  # float32, steps of about the learning rate
DECAYING = ("layers.0.W_xh", "readout.W_hy")


def by_hand(parameters, gradients, rates, beta1=0.9, beta2=0.999, epsilon=1e-8, decay=0.0, decaying=DECAYING):
    """The corrected means written as weighted averages, whose weights sum to 1."""
    trace = []
    for t in range(1, STEPS + 1):
        after = {}
        for name, p in parameters.items():
            moved = p.copy()
            for step in range(t):
                past = np.stack([each[name] for each in gradients[: step + 1]])
                ages = np.arange(step, -1, -1.0)
                first, second = beta1**ages, beta2**ages
                mean = np.tensordot(first / first.sum(), past, axes=1)
                square = np.tensordot(second / second.sum(), past**2, axes=1)
                if name in decaying:
                    moved = moved * (1 - rates[step] * decay)
                moved = moved - rates[step] * mean / (square**0.5 + epsilon)
            after[name] = moved
        trace.append(after)
    return trace


@pytest.mark.parametrize(
    ("beta1", "beta2", "epsilon"), [(0.9, 0.999, 1e-8), (0.5, 0.7, 0.2), (0.0, 0.0, 1e-8)]
)
def test_adam_against_the_closed_form(rng, beta1, beta2, epsilon):
    parameters, gradients = problem(rng)
    found, slots = run(Adam(0.02, beta1, beta2, epsilon), parameters, gradients)
    right = by_hand(parameters, gradients, [0.02] * STEPS, beta1, beta2, epsilon)
    assert_traces_agree(found, right, **ROUNDING)
    assert all(set(held) == {"m", "v"} for held in slots.values())


def test_adamw_decays_the_weights_and_nothing_else(rng):
    parameters, gradients = problem(rng)
    found, _ = run(AdamW(0.02, weight_decay=3.0), parameters, gradients)
    right = by_hand(parameters, gradients, [0.02] * STEPS, decay=3.0)
    assert_traces_agree(found, right, **ROUNDING)
    plain, _ = run(Adam(0.02), parameters, gradients)
    for name in parameters:
        assert (name in DECAYING) == (np.abs(found[-1][name] - plain[-1][name]).max() > 0.01)


def test_adamw_pattern(rng):
    parameters, gradients = problem(rng)
    found, _ = run(AdamW(0.02, weight_decay=3.0, pattern="readout.*"), parameters, gradients)
    right = by_hand(
        parameters, gradients, [0.02] * STEPS, decay=3.0, decaying=("readout.W_hy", "readout.b_y")
    )
    assert_traces_agree(found, right, **ROUNDING)


def test_without_decay_adamw_is_adam_to_the_bit(rng):
    parameters, gradients = problem(rng)
    found, _ = run(AdamW(0.02, weight_decay=0.0), parameters, gradients)
    right, _ = run(Adam(0.02), parameters, gradients)
    assert_traces_agree(found, right, rtol=0, atol=0)


def test_schedule_scales_step_and_decay(rng):
    parameters, gradients = problem(rng)
    schedule = Cosine(0.05, total_steps=STEPS, warmup_steps=2)
    found, _ = run(AdamW(schedule, weight_decay=1.0), parameters, gradients)
    right = by_hand(parameters, gradients, [schedule(t) for t in range(STEPS)], decay=1.0)
    assert_traces_agree(found, right, **ROUNDING)


def test_the_first_step_is_the_learning_rate_whatever_the_gradient():
    p = {"W": np.zeros(3)}
    optimizer = Adam(0.1)
    optimizer.update(p, {"W": np.array([1e-3, -1.0, 1e6])}, optimizer.init(p), 0)
    np.testing.assert_allclose(p["W"], [-0.1, 0.1, -0.1], rtol=2e-5, atol=0)  # epsilon over 1e-3 is 1e-5


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_adam_against_pytorch(rng, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'bptt[torch]'")
    parameters, gradients = problem(rng, dtype)
    found, _ = run(Adam(0.02, 0.8, 0.95, 1e-6), parameters, gradients)
    right = run_torch(
        lambda p: torch.optim.Adam(list(p.values()), lr=0.02, betas=(0.8, 0.95), eps=1e-6),
        parameters,
        gradients,
    )
    assert_traces_agree(found, right, **(ROUNDING if dtype == "float64" else SINGLE))


@pytest.mark.parametrize("pattern", ["*", "W_*"])
def test_adamw_against_pytorch(rng, pattern):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'bptt[torch]'")
    parameters, gradients = problem(rng)
    schedule = Cosine(0.05, total_steps=STEPS, warmup_steps=2)
    found, _ = run(AdamW(schedule, weight_decay=0.4, pattern=pattern), parameters, gradients)

    def make(p):
        decaying = [name for name in p if pattern == "*" or name in DECAYING]
        groups = [
            {"params": [p[name] for name in decaying], "weight_decay": 0.4},
            {"params": [p[name] for name in p if name not in decaying], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([group for group in groups if group["params"]], lr=1.0)

    assert_traces_agree(found, run_torch(make, parameters, gradients, schedule), **ROUNDING)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: Adam(beta1=1), InvalidInput, "beta1 must be below 1. Got 1"),
        (lambda: Adam(beta2=-0.1), InvalidInput, "beta2 must be at least 0. Got -0.1"),
        (lambda: Adam(epsilon=0), InvalidInput, "epsilon must be above 0. Got 0"),
        (lambda: AdamW(weight_decay=-1), InvalidInput, "weight_decay must be at least 0. Got -1"),
        (
            lambda: AdamW(pattern=None),
            InvalidType,
            'pattern must be text such as "W_*" or "layers.0.*". Got None',
        ),
        (
            lambda: AdamW().init({"b_h": np.zeros(2), "b_y": np.zeros(1)}),
            InvalidInput,
            "pattern must fit a parameter: b_h, b_y. Got 'W_*'",
        ),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
