"""Schedules at and around their boundaries."""

from __future__ import annotations

import math

import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.optim import Constant, Cosine, InverseTime, StepDecay, schedule_from_config

TIGHT = 1e-14  # a few float64 operations


def test_constant():
    assert [Constant(0.3)(step) for step in (0, 1, 10**9)] == [0.3, 0.3, 0.3]


def test_inverse_time():
    schedule = InverseTime(0.3, 0.25)
    assert schedule(0) == 0.3
    assert schedule(4) == pytest.approx(0.15, rel=TIGHT, abs=0)
    assert schedule(12) == pytest.approx(0.3 / 4, rel=TIGHT, abs=0)


def test_step_decay_falls_at_each_multiple():
    schedule = StepDecay(0.8, every=5, factor=0.5)
    assert [schedule(step) for step in (0, 4, 5, 9, 10, 50)] == [0.8, 0.8, 0.4, 0.4, 0.2, 0.8 / 1024]


def test_cosine_without_warm_up():
    schedule = Cosine(0.4, total_steps=100, final_fraction=0.1)
    assert schedule(0) == 0.4
    assert schedule(50) == pytest.approx(0.22, rel=TIGHT, abs=0)
    assert schedule(25) == pytest.approx(0.4 * (0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2), rel=TIGHT, abs=0)
    assert schedule(99) > schedule(100)
    assert [schedule(step) for step in (100, 101, 10**6)] == pytest.approx([0.04] * 3, rel=TIGHT, abs=0)


def test_cosine_warms_up_to_the_full_rate_and_never_starts_at_zero():
    schedule = Cosine(0.5, total_steps=24, warmup_steps=4)
    assert [schedule(step) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5], rel=TIGHT, abs=0)
    assert schedule(5) < schedule(4)
    assert schedule(14) == pytest.approx(0.25, rel=TIGHT, abs=0)
    assert schedule(23) > 0
    assert schedule(24) == pytest.approx(0, abs=1e-16)


def test_cosine_against_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'bptt[torch]'")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.04)
    ours = Cosine(0.4, total_steps=20, final_fraction=0.1)
    for step in range(21):
        assert ours(step) == pytest.approx(
            optimizer.param_groups[0]["lr"], rel=1e-10
        )  # theirs is a recursion
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: Constant(-0.1), InvalidInput, "rate must be at least 0. Got -0.1"),
        (lambda: Constant("x"), InvalidType, "rate must be a number. Got 'x'"),
        (lambda: Constant(0.1)(-1), InvalidInput, "step must be at least 0. Got -1"),
        (lambda: Constant(0.1)(1.5), InvalidType, "step must be a whole number. Got 1.5"),
        (lambda: InverseTime(0.1, -1), InvalidInput, "decay must be at least 0. Got -1"),
        (lambda: StepDecay(0.1, 0), InvalidInput, "every must be at least 1. Got 0"),
        (lambda: StepDecay(0.1, 5, 0), InvalidInput, "factor must be above 0. Got 0"),
        (lambda: Cosine(0.1, 0), InvalidInput, "total_steps must be at least 1. Got 0"),
        (lambda: Cosine(0.1, 10, -1), InvalidInput, "warmup_steps must be at least 0. Got -1"),
        (lambda: Cosine(0.1, 10, 10), InvalidInput, "warmup_steps must be below total_steps = 10. Got 10"),
        (lambda: Cosine(0.1, 10, 0, 2), InvalidInput, "final_fraction must be at most 1. Got 2"),
        (
            lambda: schedule_from_config({"kind": "linear", "rate": 1}),
            InvalidInput,
            "schedule kind must be one of constant, inverse_time, step_decay, cosine. Got 'linear'",
        ),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
