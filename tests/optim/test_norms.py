"""Norms: right, without overflow or underflow, and never hiding what is not finite."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bptt.optim import global_norm, largest_magnitude, norm, norms

EXACT = 1e-14  # float64 rounding of a pairwise sum


def test_against_numpy(rng):
    arrays = {"W": rng.normal(size=(5, 7)), "b": rng.normal(size=3), "s": np.array(2.0)}
    flat = np.concatenate([a.ravel() for a in arrays.values()])
    assert global_norm(arrays) == pytest.approx(math.sqrt(math.fsum(flat**2)), rel=EXACT, abs=0)
    assert largest_magnitude(arrays) == np.abs(flat).max()
    assert norms(arrays) == {name: norm(a) for name, a in arrays.items()}
    assert norm(arrays["b"]) == pytest.approx(np.linalg.norm(arrays["b"]), rel=EXACT, abs=0)
    assert isinstance(global_norm(arrays), float)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        ("float32", 1.0),
        ("float32", 1e22),
        ("float32", 3e38),
        ("float32", 1e-40),
        ("float64", 1e200),
        ("float64", 1e-200),
    ],
)
def test_ordinary_and_extreme_entries(rng, dtype, size):
    pattern = rng.uniform(-1, 1, size=(6, 5))
    array = (size * pattern).astype(dtype)
    right = size * np.linalg.norm(array.astype(np.longdouble) / size)
    assert norm(array) == pytest.approx(float(right), rel=1e-13, abs=0)


def test_the_naive_norm_of_the_lectures_gradient_overflows():
    gradient = np.full((800, 800), 1e22, np.float32)
    with np.errstate(over="ignore"):
        assert np.isinf(np.sqrt((gradient * gradient).sum()))
    assert norm(gradient) == pytest.approx(800 * float(np.float32(1e22)), rel=1e-12, abs=0)


def test_small_beside_huge():
    assert global_norm({"a": np.array([1e200]), "b": np.array([1e-200])}) == pytest.approx(
        1e200, rel=EXACT, abs=0
    )


def test_beyond_float64_is_inf():
    assert norm(np.full(100, 1.7e308)) == math.inf


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_nan_and_inf_show(order):
    arrays = {"a": np.array([1.0, np.inf]), "b": np.array([np.nan])}
    arrays = {name: arrays[name] for name in order}
    assert math.isnan(global_norm(arrays))
    assert math.isnan(largest_magnitude(arrays))
    assert norm(arrays["a"]) == math.inf
    assert norm(np.array([-np.inf, 1e300])) == math.inf


def test_nothing_is_zero():
    assert global_norm({}) == 0.0
    assert global_norm({"a": np.zeros((0, 3)), "b": np.zeros(2)}) == 0.0
    assert largest_magnitude({}) == 0.0


def test_complex_entries_count_by_magnitude():
    assert norm(np.array([3 + 4j])) == pytest.approx(5, rel=EXACT, abs=0)
