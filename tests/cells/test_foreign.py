"""Cells that are not ours pass the same contract, with their hand-written backward and without."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.cells import Cell
from bptt.network import Recurrent
from bptt.verify import check_cell, gradient_check
from tests.cells.contract import SAME, CellContract, made, without_backward
from tests.cells.foreign import CoupledOscillator, LeakyUnit, MinimalGatedUnit, SpikingUnit


class TestLeakyUnit(CellContract):
    cell = LeakyUnit()


class TestLeakyUnitForwardOnly(CellContract):
    cell = without_backward(LeakyUnit())


class TestMinimalGatedUnit(CellContract):
    cell = MinimalGatedUnit()


class TestMinimalGatedUnitForwardOnly(CellContract):
    cell = without_backward(MinimalGatedUnit())


class TestCoupledOscillator(CellContract):
    cell = CoupledOscillator(dt=0.3)


class TestCoupledOscillatorForwardOnly(CellContract):
    cell = without_backward(CoupledOscillator())


class TestSpikingUnit(CellContract):
    cell = SpikingUnit()


class TestSpikingUnitForwardOnly(CellContract):
    cell = without_backward(SpikingUnit())


def test_leaky_unit_is_its_equations(rng: np.random.Generator) -> None:
    stack = made(LeakyUnit(), rng)
    p = {name.removeprefix("layers.0."): value for name, value in stack.parameters.items()}
    tau = 1 + np.exp(p["p_tau"])
    x, h_t = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 5))
    h, _, _ = stack.forward(x, {"h": h_t[None]})
    for t in range(4):
        h_t = (1 - 1 / tau) * h_t + np.tanh(x[:, t] @ p["W_xh"] + h_t @ p["W_hh"] + p["b_h"]) / tau
        np.testing.assert_allclose(h[:, t], h_t, **SAME)


def test_oscillator_has_two_states_and_a_weight_from_each(rng: np.random.Generator) -> None:
    stack = made(CoupledOscillator(), rng)
    assert stack.parameters["layers.0.W_vh"].shape == (5, 5)
    p = {name.removeprefix("layers.0."): value for name, value in stack.parameters.items()}
    x, h_t, v_t = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 5)), rng.standard_normal((2, 5))
    h, final, _ = stack.forward(x, {"h": h_t[None], "v": v_t[None]})
    for t in range(4):
        force = np.tanh(x[:, t] @ p["W_xh"] + h_t @ p["W_hh"] + v_t @ p["W_vh"] + p["b_h"])
        v_t = v_t + 0.4 * (force - 1.3 * h_t - 0.7 * v_t)
        h_t = h_t + 0.4 * v_t
        np.testing.assert_allclose(h[:, t], h_t, **SAME)
    np.testing.assert_allclose(final["v"][0], v_t, **SAME)


def test_spiking_unit_fires_and_is_reported_as_a_surrogate(rng: np.random.Generator) -> None:
    stack = made(SpikingUnit(), rng)
    h, _, _ = stack.forward(rng.standard_normal((4, 30, 3)))
    assert set(np.unique(h)) == {0.0, 1.0}
    report = check_cell(SpikingUnit, layers=(1,), directions=("forward",), bias=(True,))
    assert report.passed
    assert "the spiking cell has a surrogate gradient" in report.notes[-1]
    central = [row for row in report.rows if row.method == "central"]
    assert central
    assert not any(row.judged for row in central)
    # Not judged, and rightly: the true step has another slope than the surrogate.
    assert any(row.error > 1e-2 for row in central)
    assert "shown, not judged" in str(report)


def test_a_mask_cuts_every_recurrent_weight(rng: np.random.Generator) -> None:
    layer = Recurrent(CoupledOscillator, 2, 3, mask=np.eye(3), signs=[1, -1, 1], seed=2)
    x = rng.standard_normal((2, 5, 2))
    h, _, tape = layer.forward(x)
    found = layer.backward(tape, rng.standard_normal(h.shape)).parameters
    for name in ("layers.0.W_hh", "layers.0.W_vh"):
        assert np.diag(found[name]).all()
        assert not (found[name] - np.diag(np.diag(found[name]))).any()
    gradient_check(layer, x)


@pytest.mark.parametrize("cell", [LeakyUnit, MinimalGatedUnit, CoupledOscillator])
def test_check_cell_passes(cell: type[Cell]) -> None:
    report = check_cell(cell, layers=(2,), bias=(True,), max_entries=2)
    assert report.worst("formula") <= 1e-12
    assert report.worst("complex") <= 1e-12
    assert report.worst("central") <= 1e-7
    assert Recurrent(cell, 3, 4).cell.plan.stages[0].backward is not None


def test_check_cell_says_that_there_is_no_backward_to_compare() -> None:
    report = check_cell(without_backward(LeakyUnit()), layers=(1,), directions=("forward",), max_entries=2)
    assert not [row for row in report.rows if row.method == "formula"]
    assert report.notes == (
        "the cell states no backward: forward-mode numbers take its place, and no formula was compared",
    )
