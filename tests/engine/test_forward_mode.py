"""Derivatives of a formula that states none."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.cells import LSTM, Elman
from bptt.engine.forward_mode import pull_back
from tests.cells.foreign import LeakyUnit, SpikingUnit

SHAPE = (4, 5)


def test_is_the_derivative_by_hand(rng: np.random.Generator) -> None:
    (stage,) = LSTM().plan.stages
    a_i, a_f, a_g, a_o, c_prev, dh, dc = rng.standard_normal((7, *SHAPE))
    found = pull_back(stage, [a_i, a_f, a_g, a_o, c_prev], {"h": dh, "c": dc})
    _, _, i, f, g, o, s = stage.forward(a_i, a_f, a_g, a_o, c_prev)
    dc_t = dc + dh * o * (1 - s * s)
    wanted = {
        "da_i": dc_t * g * i * (1 - i),
        "da_f": dc_t * c_prev * f * (1 - f),
        "da_g": dc_t * i * (1 - g * g),
        "da_o": dh * s * o * (1 - o),
        "dc_prev": dc_t * f,
    }
    assert found.keys() == wanted.keys()
    for name, d in wanted.items():
        np.testing.assert_allclose(found[name], d, rtol=1e-13, atol=1e-15)


def test_a_vector_gets_a_gradient_at_every_row(rng: np.random.Generator) -> None:
    (stage,) = LeakyUnit().plan.stages
    a_n, h_prev, dh = rng.standard_normal((3, *SHAPE))
    p_tau = rng.standard_normal(SHAPE[1])
    found = pull_back(stage, [a_n, p_tau, h_prev], {"h": dh})
    s = np.exp(p_tau)
    assert found["dp_tau"].shape == SHAPE
    np.testing.assert_allclose(found["dp_tau"], -dh * (np.tanh(a_n) - h_prev) * s / (1 + s) ** 2, rtol=1e-13)


def test_a_surrogate_gives_its_own_slope(rng: np.random.Generator) -> None:
    (stage,) = SpikingUnit().plan.stages
    a_h, u_prev, dh = rng.standard_normal((3, *SHAPE))
    found = pull_back(stage, [a_h, np.zeros(SHAPE), u_prev, 0.8, 0.5], {"h": dh})
    u = 0.8 * u_prev + a_h
    np.testing.assert_allclose(found["da_h"], dh / (1 + (np.pi * (u - 0.5)) ** 2), rtol=1e-13)


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-14), ("float32", 1e-6)])
def test_works_in_the_arrays_own_precision(dtype: str, rtol: float, rng: np.random.Generator) -> None:
    cell = Elman()
    (stage,) = cell.plan.stages
    a, dh = rng.standard_normal((2, *SHAPE)).astype(dtype)
    (found,) = pull_back(stage, [a, cell.bound_functions["activation"]], {"h": dh}).values()
    assert found.dtype == dtype
    np.testing.assert_allclose(found, dh * (1 - np.tanh(a) ** 2), rtol=rtol)


def test_results_without_a_gradient_count_as_zero(rng: np.random.Generator) -> None:
    (stage,) = LSTM().plan.stages
    found = pull_back(stage, list(rng.standard_normal((5, *SHAPE))), {})
    assert not any(d.any() for d in found.values())
