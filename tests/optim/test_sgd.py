"""SGD against loops written as the textbook has them, entry by entry in plain floats."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.optim import SGD, Constant, InverseTime, StepDecay
from tests.optim.runs import STEPS, assert_traces_agree, problem, run, run_torch

ROUNDING = {"rtol": 1e-13, "atol": 1e-13}  # float64, seven steps
SINGLE = {"rtol": 1e-5, "atol": 1e-4}  # float32, steps of up to 100 times the gradient's size


def by_hand(parameters, gradients, rates, momentum=0.0, nesterov=False):
    trace = []
    state = {name: [[float(a), 0.0] for a in p.ravel()] for name, p in parameters.items()}
    for step, each in enumerate(gradients):
        after = {}
        for name, entries in state.items():
            for i, entry in enumerate(entries):
                g = float(each[name].ravel()[i])
                # PyTorch's form, with the learning rate inside the buffer so that schedules agree too.
                entry[1] = momentum * entry[1] + rates[step] * g
                entry[0] -= rates[step] * g + momentum * entry[1] if nesterov else entry[1]
            after[name] = np.array([e[0] for e in entries]).reshape(parameters[name].shape)
        trace.append(after)
    return trace


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.8, False), (0.8, True)])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_against_a_loop(rng, momentum, nesterov, decay):
    parameters, gradients = problem(rng)
    found, _ = run(SGD(0.05, momentum, nesterov, decay), parameters, gradients)
    rates = [0.05 / (1 + decay * t) for t in range(STEPS)]
    assert_traces_agree(found, by_hand(parameters, gradients, rates, momentum, nesterov), **ROUNDING)


def test_decay_is_the_inverse_time_schedule(rng):
    parameters, gradients = problem(rng)
    by_decay, _ = run(SGD(0.05, 0.9, decay=0.2), parameters, gradients)
    by_schedule, _ = run(SGD(InverseTime(0.05, 0.2), 0.9), parameters, gradients)
    assert_traces_agree(by_decay, by_schedule, rtol=0, atol=0)


def test_a_schedule_is_asked_every_step(rng):
    parameters, gradients = problem(rng)
    found, _ = run(SGD(StepDecay(0.1, every=3, factor=0.5)), parameters, gradients)
    rates = [0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025]
    assert_traces_agree(found, by_hand(parameters, gradients, rates), **ROUNDING)


def test_momentum_is_not_forgotten_between_calls():
    # The lecture's program makes its velocities anew in every call: then the second step equals the first.
    p = {"W": np.zeros(1)}
    optimizer = SGD(1.0, momentum=0.5)
    slots = optimizer.init(p)
    optimizer.update(p, {"W": np.ones(1)}, slots, 0)
    assert p["W"] == -1.0
    optimizer.update(p, {"W": np.ones(1)}, slots, 1)
    assert p["W"] == -2.5
    optimizer.update(p, {"W": np.zeros(1)}, slots, 2)
    assert p["W"] == -3.25  # moves on without a gradient
    assert slots["W"]["v"] == -0.75


def test_with_momentum_the_parameters_move():
    # In the lecture's program the weights are moved in the branch without momentum only.
    p = {"W": np.zeros(2)}
    optimizer = SGD(0.1, momentum=0.9)
    optimizer.update(p, {"W": np.array([1.0, -2.0])}, optimizer.init(p), 0)
    np.testing.assert_allclose(p["W"], [-0.1, 0.2], rtol=1e-15, atol=0)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_biases_move_by_their_gradient(momentum):
    # The lecture updates a bias by the bias itself in one place.
    p = {"W_xh": np.full((2, 2), 5.0), "b_h": np.array([3.0, -4.0])}
    g = {"W_xh": np.zeros((2, 2)), "b_h": np.array([10.0, 20.0])}
    optimizer = SGD(0.1, momentum)
    optimizer.update(p, g, optimizer.init(p), 0)
    np.testing.assert_allclose(p["b_h"], [2.0, -6.0], rtol=1e-15, atol=0)
    assert (p["W_xh"] == 5.0).all()


def test_slots_exist_only_with_momentum(rng):
    parameters, _ = problem(rng)
    assert all(held == {} for held in SGD(0.1).init(parameters).values())
    assert all(set(held) == {"v"} for held in SGD(0.1, 0.9).init(parameters).values())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.8, False), (0.8, True)])
def test_against_pytorch(rng, momentum, nesterov, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'bptt[torch]'")
    parameters, gradients = problem(rng, dtype)
    found, _ = run(SGD(0.05, momentum, nesterov), parameters, gradients)
    right = run_torch(
        lambda p: torch.optim.SGD(list(p.values()), lr=0.05, momentum=momentum, nesterov=nesterov),
        parameters,
        gradients,
    )
    assert_traces_agree(found, right, **(ROUNDING if dtype == "float64" else SINGLE))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: SGD(-1), InvalidInput, "learning_rate must be at least 0. Got -1"),
        (lambda: SGD(np.nan), InvalidInput, "learning_rate must be finite and at least 0. Got nan"),
        (lambda: SGD("fast"), InvalidType, "learning_rate must be a number or a Schedule. Got 'fast'"),
        (lambda: SGD(0.1, 1.0), InvalidInput, "momentum must be below 1. Got 1.0"),
        (lambda: SGD(0.1, decay=-1), InvalidInput, "decay must be at least 0. Got -1"),
        (lambda: SGD(0.1, 0.9, nesterov=1), InvalidType, "nesterov must be True or False. Got 1"),
        (
            lambda: SGD(0.1, nesterov=True),
            InvalidInput,
            "momentum must be above 0 for nesterov=True. Got 0",
        ),
        (
            lambda: SGD(Constant(0.1), decay=0.5),
            InvalidInput,
            "decay must be 0 where learning_rate is a schedule. Got 0.5: take one of the two",
        ),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
