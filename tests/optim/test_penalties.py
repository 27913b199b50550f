"""L1 and L2: values, gradients, and which parameters they hold for."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.optim import L1, L2, SGD, penalty_from_config
from tests.optim.runs import SHAPES, problem

EXACT = 1e-14  # a few float64 operations
CENTRAL = 1e-8  # central differences with a step of 1e-6
SINGLE = 1e-6  # float32
WEIGHTS = ("layers.0.W_xh", "readout.W_hy")


@pytest.mark.parametrize(("make", "value"), [(L1, np.abs), (L2, lambda p: p**2 / 2)])
def test_value_and_gradient(rng, make, value):
    parameters, (gradients, *_) = problem(rng)
    before = {name: g.copy() for name, g in gradients.items()}
    penalty = make(0.3)
    right = 0.3 * sum(value(parameters[name]).sum() for name in WEIGHTS)
    assert penalty.value(parameters) == pytest.approx(right, rel=EXACT, abs=0)
    assert penalty.add(parameters, gradients) == penalty.value(parameters)
    for name in SHAPES:
        added = gradients[name] - before[name]
        if name not in WEIGHTS:
            assert (added == 0).all()
            continue
        for place in np.ndindex(SHAPES[name]):
            stepped = parameters[name].astype(complex)
            stepped[place] += 1e-30j
            slope = penalty.value({**parameters, name: stepped}).imag / 1e-30
            up, down = parameters[name].copy(), parameters[name].copy()
            up[place] += 1e-6
            down[place] -= 1e-6
            both = [penalty.value({**parameters, name: moved}) for moved in (up, down)]
            np.testing.assert_allclose(added[place], slope, rtol=0, atol=1e-13)
            np.testing.assert_allclose(added[place], (both[0] - both[1]) / 2e-6, rtol=0, atol=CENTRAL)


def test_l1_is_flat_at_zero():
    gradients = {"W_xh": np.zeros(3)}
    L1(2.0).add({"W_xh": np.array([0.0, 1e-300, -5.0])}, gradients)
    np.testing.assert_array_equal(gradients["W_xh"], [0, 2, -2])


def test_l2_with_sgd_is_weight_decay(rng):
    parameters, (gradients, *_) = problem(rng)
    before = {name: p.copy() for name, p in parameters.items()}
    plain = {name: g.copy() for name, g in gradients.items()}
    L2(0.5).add(parameters, gradients)
    optimizer = SGD(0.1)
    optimizer.update(parameters, gradients, optimizer.init(parameters), 0)
    for name in SHAPES:
        kept = 0.95 if name in WEIGHTS else 1.0
        right = kept * before[name] - 0.1 * plain[name]
        np.testing.assert_allclose(parameters[name], right, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("make", [L1, L2])
def test_float32_stays_float32(rng, make):
    parameters, _ = problem(rng)
    single = {name: p.astype(np.float32) for name, p in parameters.items()}
    added = {name: np.zeros_like(p) for name, p in single.items()}
    value = make(0.3).add(single, added)
    assert isinstance(value, float)
    assert value == pytest.approx(make(0.3).value(parameters), rel=SINGLE, abs=0)
    assert all(
        term.dtype == np.float32 for term in make(0.3).formula(single["readout.W_hy"], np.float32(0.3))
    )


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", set(SHAPES)),
        ("layers.0.*", {"layers.0.W_xh", "layers.0.b_h", "layers.0.p_i"}),
        ("b_?", {"layers.0.b_h", "readout.b_y"}),
        ("readout.W_hy", {"readout.W_hy"}),
    ],
)
def test_patterns(rng, pattern, names):
    parameters, _ = problem(rng)
    gradients = {name: np.zeros_like(p) for name, p in parameters.items()}
    L2(1.0, pattern).add(parameters, gradients)
    assert {name for name, g in gradients.items() if g.any()} == names


def test_configurations():
    for penalty in (L1(0.1), L2(0.2, "readout.*")):
        assert penalty_from_config(json.loads(json.dumps(penalty.to_config()))) == penalty


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: L1(-1), InvalidInput, "strength must be at least 0. Got -1"),
        (lambda: L2(1, 3), InvalidType, 'pattern must be text such as "W_*" or "layers.0.*". Got 3'),
        (
            lambda: L2(1, "w_*").value({"W_xh": np.ones(2), "b_h": np.ones(2)}),
            InvalidInput,
            "pattern must fit a parameter: W_xh, b_h. Got 'w_*'",
        ),
        (
            lambda: penalty_from_config({"kind": "l3"}),
            InvalidInput,
            "penalty kind must be one of l1, l2. Got 'l3'",
        ),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
