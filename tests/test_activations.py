"""Activations: value, derivative, complex numbers, extreme arguments, dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bptt.activations import (
    ACTIVATIONS,
    FUNCTIONS,
    SURROGATES,
    relu,
    sigmoid,
    softplus,
    spike,
    spike_derivative,
    step,
    tanh,
)

Array = npt.NDArray[Any]

# One function evaluated in float64 by two routes.
CLOSE = {"rtol": 4e-15, "atol": 1e-15}
STEP = 1e-20

# Where each function is defined and smooth.
POINTS: Array = np.array([-30.0, -3.2, -1.0, -0.4, -1e-3, 1e-3, 0.5, 1.7, 4.0, 28.0])
POSITIVE: Array = np.abs(POINTS)


def points(name: str) -> Array:
    return POSITIVE if name in ("log", "sqrt", "softplus_derivative") else POINTS


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_stated_derivative_is_that_of_the_value(name: str) -> None:
    """`NAME_derivative` takes the output, as a backward pass has it at hand."""
    f, derivative = FUNCTIONS[name], FUNCTIONS[f"{name}_derivative"]
    by_complex_step = np.imag(f(POINTS + 1j * STEP)) / STEP
    np.testing.assert_allclose(derivative(f(POINTS)), by_complex_step, rtol=1e-12, atol=1e-15)


def test_exp_derivative_is_its_output() -> None:
    y = FUNCTIONS["exp"](POINTS)
    np.testing.assert_allclose(
        FUNCTIONS["exp_derivative"](y), np.imag(np.exp(POINTS + 1j * STEP)) / STEP, **CLOSE
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_complex_step_leaves_the_value_and_carries_the_slope(name: str) -> None:
    f, a = FUNCTIONS[name], points(name)
    along = f(a + 1j * STEP)
    assert np.iscomplexobj(along)
    np.testing.assert_allclose(np.real(along), f(a), **CLOSE)
    slope = np.imag(along) / STEP
    if name == "step":
        assert not slope.any()
    elif name in SURROGATES:
        np.testing.assert_allclose(slope, FUNCTIONS[f"{name}_derivative"](a), **CLOSE)
    else:
        h = 1e-4 * np.minimum(np.abs(a), 1)  # never across 0, where relu bends
        d1, d2 = (f(a + h) - f(a - h)) / (2 * h), (f(a + 2 * h) - f(a - 2 * h)) / (4 * h)
        np.testing.assert_allclose(slope, (4 * d1 - d2) / 3, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_dtype_follows_the_argument(name: str) -> None:
    for dtype in ("float32", "float64", "complex64", "complex128"):
        assert FUNCTIONS[name](points(name).astype(dtype)).dtype == dtype


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numbers_are_taken_like_arrays(name: str) -> None:
    assert float(FUNCTIONS[name](0.7)) == pytest.approx(float(FUNCTIONS[name](np.array([0.7]))[0]), rel=1e-15)
    assert np.shape(FUNCTIONS[name](0.7)) == ()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "identity", "softplus", "step", "spike"])
def test_extreme_arguments_neither_overflow_nor_warn(name: str, dtype: str) -> None:
    a = np.array([-1e30, -800.0, 0.0, 800.0, 1e30], dtype)
    limits = {
        "tanh": [-1, -1, 0, 1, 1],
        "sigmoid": [0, 0, 0.5, 1, 1],
        "relu": [0, 0, 0, 800, 1e30],
        "identity": a,
        "softplus": [0, 0, np.log(2), 800, 1e30],
        "step": [0, 0, 0, 1, 1],
        "spike": [0, 0, 0, 1, 1],
    }
    np.testing.assert_allclose(FUNCTIONS[name](a), limits[name], rtol=2e-7, atol=0)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "identity", "softplus", "exp", "sqrt", "log"])
def test_nan_is_seen(name: str) -> None:
    assert np.isnan(FUNCTIONS[name](np.array([np.nan]))).all()


def test_sigmoid_is_the_logistic_function() -> None:
    np.testing.assert_allclose(sigmoid(POINTS), 1 / (1 + np.exp(-POINTS)), rtol=1e-14, atol=1e-16)


def test_softplus_is_accurate_on_both_sides() -> None:
    np.testing.assert_allclose(softplus(np.array([-40.0])), np.exp(-40.0), rtol=1e-15)
    np.testing.assert_allclose(softplus(np.array([40.0])), 40 + np.exp(-40.0), rtol=1e-15)


def test_branches_select_on_the_real_part() -> None:
    a = np.array([-1 + 5j, 1 - 5j, 0 + 3j])
    np.testing.assert_allclose(relu(a), [0, 1 - 5j, 0], rtol=0, atol=0)
    np.testing.assert_allclose(step(a), [0, 1, 0], rtol=0, atol=0)


def test_at_the_kink_the_slope_is_zero() -> None:
    at = np.array([0.0])
    assert FUNCTIONS["relu_derivative"](relu(at)) == 0
    assert np.imag(relu(at + 1j * STEP)) == 0


def test_step_of_whole_numbers_is_float() -> None:
    assert step(np.array([-1, 0, 3])).dtype == np.float64
    np.testing.assert_allclose(step(np.array([-1, 0, 3])), [0, 0, 1], rtol=0, atol=0)


def test_spike_is_a_step_with_another_slope() -> None:
    np.testing.assert_allclose(spike(POINTS), step(POINTS), rtol=0, atol=0)
    assert spike_derivative(0.0) == 1
    np.testing.assert_allclose(spike_derivative(np.array([1 / np.pi, -1 / np.pi])), [0.5, 0.5], rtol=1e-15)
    # The derivative of arctan(pi a) / pi, by which the surrogate is known.
    h = 1e-6
    wanted = (np.arctan(np.pi * (POINTS + h)) - np.arctan(np.pi * (POINTS - h))) / (2 * h * np.pi)
    np.testing.assert_allclose(spike_derivative(POINTS), wanted, rtol=1e-5, atol=1e-9)


def test_every_activation_can_be_chosen_with_its_derivative() -> None:
    for name in ACTIVATIONS:
        assert name in FUNCTIONS
        assert f"{name}_derivative" in FUNCTIONS
    assert FUNCTIONS["tanh"] is tanh
    assert set(SURROGATES) <= set(FUNCTIONS)
