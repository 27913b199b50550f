"""Clipping by global norm and by value."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.optim import ClipNorm, ClipValue, clipping_from_config, global_norm
from tests.optim.runs import problem

EXACT = 1e-14  # a few float64 operations
SINGLE = 1e-6  # float32


@pytest.fixture
def gradients(rng):
    return problem(rng)[1][0]


def copies(gradients):
    return {name: g.copy() for name, g in gradients.items()}


def test_norm_above_the_limit(gradients):
    before, norm = copies(gradients), global_norm(gradients)
    assert ClipNorm(norm / 3)(gradients) == norm
    for name, g in gradients.items():
        np.testing.assert_allclose(g, before[name] / 3, rtol=EXACT, atol=0)
    assert global_norm(gradients) == pytest.approx(norm / 3, rel=EXACT, abs=0)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_norm_at_or_below_the_limit_is_untouched_to_the_bit(gradients, factor):
    before, norm = copies(gradients), global_norm(gradients)
    assert ClipNorm(factor * norm)(gradients) == norm
    for name, g in gradients.items():
        np.testing.assert_array_equal(g, before[name])


@pytest.mark.parametrize("size", [1e22, 3e38])
@pytest.mark.parametrize("max_norm", [1.0, 1e-3])
def test_a_huge_float32_gradient_keeps_its_direction(rng, size, max_norm):
    # At 3e38 over 100,000 entries the norm is beyond float32, and its reciprocal below.
    pattern = rng.uniform(-1, 1, size=(500, 200))
    pattern[0, 0] = 1
    gradient = {"W": (size * pattern).astype(np.float32)}
    norm = ClipNorm(max_norm)(gradient)
    assert norm == pytest.approx(size * np.linalg.norm(pattern), rel=SINGLE, abs=0)
    assert gradient["W"].dtype == np.float32
    right = max_norm * pattern / np.linalg.norm(pattern)
    np.testing.assert_allclose(gradient["W"], right, rtol=SINGLE, atol=SINGLE * np.abs(right).max())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_norm_that_is_not_finite_changes_nothing_and_is_returned(gradients, bad):
    gradients["readout.b_y"][0] = bad
    before = copies(gradients)
    found = ClipNorm(1e-3)(gradients)
    assert math.isnan(found) if math.isnan(bad) else found == bad
    for name, g in gradients.items():
        np.testing.assert_array_equal(g, before[name])


def test_zero_gradients():
    gradient = {"W": np.zeros((2, 3))}
    assert ClipNorm(1.0)(gradient) == 0.0
    assert (gradient["W"] == 0).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_value(rng, dtype):
    _, (gradients, *_) = problem(rng, dtype)
    before, norm = copies(gradients), global_norm(gradients)
    assert ClipValue(0.4)(gradients) == norm
    for name, g in gradients.items():
        assert g.dtype == dtype
        # Equal, not close: what is inside the limits keeps its last bit.
        limit = np.asarray(0.4, dtype)
        np.testing.assert_array_equal(g, np.clip(before[name], -limit, limit))


def test_value_far_out_and_not_finite():
    gradient = {"W": np.array([1e30, -1e30, 1e-30, np.nan, np.inf, -np.inf], np.float32)}
    assert math.isnan(ClipValue(0.5)(gradient))
    np.testing.assert_array_equal(gradient["W"][:3], np.array([0.5, -0.5, 1e-30], np.float32))
    assert np.isnan(gradient["W"][3:]).all()


def test_against_pytorch(gradients):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'bptt[torch]'")
    tensors = []
    for g in gradients.values():
        p = torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64))
        p.grad = torch.tensor(g)
        tensors.append(p)
    norm = torch.nn.utils.clip_grad_norm_(tensors, 0.5).item()
    assert ClipNorm(0.5)(gradients) == pytest.approx(norm, rel=1e-13, abs=0)
    for g, p in zip(gradients.values(), tensors, strict=True):
        np.testing.assert_allclose(
            g, p.grad.numpy(), rtol=1e-6 / norm + 1e-13, atol=0
        )  # they add 1e-6 to the norm


def test_configurations():
    for clipping in (ClipNorm(2), ClipValue(0.5)):
        assert clipping_from_config(json.loads(json.dumps(clipping.to_config()))) == clipping


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ClipNorm(0), "max_norm must be above 0. Got 0"),
        (lambda: ClipValue(-1), "limit must be above 0. Got -1"),
        (
            lambda: clipping_from_config({"kind": "clip"}),
            "clipping kind must be one of clip_norm, clip_value. Got 'clip'",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert str(caught.value) == message
