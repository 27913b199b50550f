"""What holds for every optimiser: in place, dtypes, checkpoints, overflow, names, configurations."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bptt.errors import DivergedError, InvalidInput, InvalidType
from bptt.optim import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    Constant,
    Cosine,
    InverseTime,
    RMSProp,
    StepDecay,
    get_optimizer,
)
from tests.optim.runs import STEPS, assert_traces_agree, problem, run

EVERY = [
    SGD(0.05),
    SGD(0.05, 0.9, decay=0.1),
    SGD(0.05, 0.9, nesterov=True),
    RMSProp(0.02),
    Adam(Cosine(0.02, STEPS)),
    AdamW(0.02, weight_decay=0.3),
]
BIT = 1e-5  # float32 over seven steps against float64, in units of the largest entry


@pytest.fixture(params=EVERY, ids=repr)
def optimizer(request):
    return request.param


def test_updates_in_place_and_leaves_gradients(rng, optimizer):
    parameters, gradients = problem(rng)
    before = {name: g.copy() for name, g in gradients[0].items()}
    for g in gradients[0].values():
        g.flags.writeable = False
    kept = dict(parameters)
    slots = optimizer.init(parameters)
    held = {(name, slot): array for name, each in slots.items() for slot, array in each.items()}
    optimizer.update(parameters, gradients[0], slots, 0)
    assert all(parameters[name] is kept[name] for name in kept)
    assert all(slots[name][slot] is array for (name, slot), array in held.items())
    for name, g in before.items():
        np.testing.assert_array_equal(gradients[0][name], g)


def test_float32_stays_float32(rng, optimizer):
    parameters, gradients = problem(rng)
    right, _ = run(optimizer, parameters, gradients)
    single = {name: p.astype(np.float32) for name, p in parameters.items()}
    found, slots = run(
        optimizer, single, [{n: g.astype(np.float32) for n, g in e.items()} for e in gradients]
    )
    for name in parameters:
        assert found[-1][name].dtype == np.float32
        assert all(array.dtype == np.float32 for array in slots[name].values())
        largest = np.abs(right[-1][name]).max()
        np.testing.assert_allclose(found[-1][name], right[-1][name], rtol=0, atol=BIT * largest)


def test_the_arithmetic_is_float32_and_not_only_the_result(rng, optimizer):
    # A double scalar would lift every intermediate to float64; a compiled float32 engine could not repeat that.
    p, slots = np.ones(3, np.float32), [np.ones(3, np.float32) for _ in optimizer.slot_names]
    constants = [np.float32(number) for number in optimizer.constants(2, "W_xh")]
    assert all(array.dtype == np.float32 for array in optimizer.formula(p, p, *slots, *constants))
    assert len(optimizer.formula.results) == 1 + len(slots)


def test_double_gradients_of_float32_parameters(rng, optimizer):
    parameters, gradients = problem(rng, "float32")
    right, _ = run(optimizer, parameters, gradients)
    doubled = [{name: g.astype(np.float64) for name, g in each.items()} for each in gradients]
    found, _ = run(optimizer, parameters, doubled)
    assert_traces_agree(found, right, rtol=0, atol=0)


def test_a_run_continues_from_copied_slots(rng, optimizer):
    parameters, gradients = problem(rng)
    whole, _ = run(optimizer, parameters, gradients)
    half, slots = run(optimizer, parameters, gradients[:3])
    again = {name: p.copy() for name, p in half[-1].items()}
    carried = {name: {slot: array.copy() for slot, array in each.items()} for name, each in slots.items()}
    for step in range(3, STEPS):
        optimizer.update(again, gradients[step], carried, step)
    assert_traces_agree([again], whole[-1:], rtol=0, atol=0)


def test_a_gradient_that_is_not_finite_shows(rng, optimizer):
    parameters, gradients = problem(rng)
    gradients[0]["readout.b_y"][1] = np.nan
    gradients[0]["readout.W_hy"][0, 1] = np.inf
    found, _ = run(optimizer, parameters, gradients[:1])
    assert np.isnan(found[0]["readout.b_y"]).tolist() == [False, True]
    assert np.isfinite(found[0]["readout.W_hy"]).sum() == 7


@pytest.mark.parametrize("optimizer", [RMSProp(0.02), Adam(0.02)], ids=repr)
def test_overflow_is_an_error_and_nothing_moves(rng, optimizer):
    parameters, gradients = problem(rng, "float32")
    gradients[0]["readout.b_y"][0] = 1e22
    before = {name: p.copy() for name, p in parameters.items()}
    slots = optimizer.init(parameters)
    with pytest.raises(DivergedError) as caught:
        optimizer.update(parameters, gradients[0], slots, 0)
    assert str(caught.value) == (
        "readout.b_y must have an update that float32 can hold. Got an overflow at step 0, "
        "largest gradient 1e+22: clip the gradients (ClipNorm), or lower the learning rate"
    )
    for name, p in parameters.items():
        np.testing.assert_array_equal(p, before[name])
        assert all((array == 0).all() for array in slots[name].values())


def test_plain_descent_takes_the_lectures_gradient():
    p = {"W_hh": np.ones((2, 2), np.float32)}
    SGD(1e-5).update(p, {"W_hh": np.full((2, 2), 1e22, np.float32)}, {"W_hh": {}}, 0)
    np.testing.assert_allclose(p["W_hh"], -1e17, rtol=1e-6, atol=0)


def test_configurations():
    schedules = [Constant(0.1), InverseTime(0.1, 0.5), StepDecay(0.1, 10), Cosine(0.1, 20, 3, 0.05)]
    for optimizer in [*EVERY, *(Adam(schedule) for schedule in schedules)]:
        written = json.loads(json.dumps(optimizer.to_config()))
        assert written == optimizer.to_config()
        assert get_optimizer(written) == optimizer


def test_by_name():
    for name, made in OPTIMIZERS.items():
        assert type(get_optimizer(name)) is made
    adam = Adam(0.5)
    assert get_optimizer(adam) is adam


def test_frozen():
    with pytest.raises(AttributeError):
        Adam().beta1 = 0.5


P = {"W_xh": np.zeros((2, 3)), "b_h": np.zeros(3)}


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: get_optimizer("adagrad"),
            InvalidInput,
            "optimizer must be one of sgd, rmsprop, adam, adamw. Got 'adagrad'",
        ),
        (
            lambda: get_optimizer(0.1),
            InvalidType,
            "optimizer must be a name or an Optimizer such as Adam(0.001). Got 0.1",
        ),
        (
            lambda: SGD().update(P, {"W_xh": np.zeros((2, 3))}, SGD().init(P), 0),
            InvalidInput,
            "gradients must have the names of the parameters. Got 'b_h', not in the gradients",
        ),
        (
            lambda: SGD().update(P, {**P, "W_hh": np.zeros(1)}, SGD().init(P), 0),
            InvalidInput,
            "gradients must have the names of the parameters. Got 'W_hh', not in the parameters",
        ),
        (
            lambda: SGD().update(P, {**P, "b_h": np.zeros((3, 1))}, SGD().init(P), 0),
            InvalidInput,
            "gradients['b_h'] must have the parameter's shape (3,). Got (3, 1)",
        ),
        (
            lambda: Adam().update(P, P, SGD(momentum=0.9).init(P), 0),
            InvalidInput,
            "slots['W_xh'] must be m (2, 3), v (2, 3) for adam. Got v (2, 3): make them with init",
        ),
        (
            lambda: SGD().update(P, P, {}, -1),
            InvalidInput,
            "step must be at least 0. Got -1",
        ),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
