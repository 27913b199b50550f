"""The check before any time is taken: it passes for what is right, and notices what is not."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.agreement import (
    FUSED_TOLERANCE,
    TOLERANCE,
    OneByOne,
    differences,
    fused_difference,
    loss_and_gradients,
    make_net,
    reference,
    worst,
)
from benchmarks.engines.own_cells import DERIVED_CELLS, OWN_CELLS
from benchmarks.jobs import EVERY_JOB, JOBS, make_problem
from bptt.data.examples.batch import Batch, Indices

pytest.importorskip("llvmlite", reason="llvmlite is not installed")


@pytest.mark.parametrize("cell", JOBS["weather"].cells)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_smallest_job_agrees(cell: str, dtype: str) -> None:
    problem = make_problem(JOBS["weather"], cell, dtype)
    found = loss_and_gradients(make_net(problem, "compiled"), problem)
    wanted = reference(problem)
    assert set(found) == set(wanted) == {"loss", *problem.parameters}
    assert worst(differences(found, wanted))[1] <= TOLERANCE[dtype]


def test_class_targets_agree() -> None:
    problem = make_problem(JOBS["digits"], "elman", "float32")
    found = loss_and_gradients(make_net(problem, "compiled"), problem)
    assert worst(differences(found, reference(problem)))[1] <= TOLERANCE["float32"]


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
def test_cells_of_the_users_own_are_the_built_in_ones(cell: str) -> None:
    problem = make_problem(JOBS["weather"], cell, "float64")
    wanted = reference(problem)
    for own in (OWN_CELLS[cell], DERIVED_CELLS[cell]):
        found = loss_and_gradients(make_net(problem, "numpy", own), problem)
        assert worst(differences(found, wanted))[1] <= TOLERANCE["float64"]


def test_gates_in_another_order_are_noticed() -> None:
    problem = make_problem(JOBS["weather"], "lstm", "float32")
    wanted = reference(problem)
    H = problem.job.H
    swapped = np.roll(wanted["layers.0.W_hh"], H, axis=1)
    name, error = worst(differences({**wanted, "layers.0.W_hh": swapped}, wanted))
    assert name == "layers.0.W_hh"
    assert error > 0.1


def test_missing_misshapen_and_nan_tensors_are_infinitely_wrong() -> None:
    wanted = {"a": np.ones((3, 2)), "b": np.ones(5), "c": np.ones(4), "d": np.ones(7)}
    found = {"a": np.ones((2, 3)), "b": np.full(5, np.nan), "d": np.ones(7)}
    assert differences(found, wanted) == {"a": np.inf, "b": np.inf, "c": np.inf, "d": 0.0}


@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_fused_steps_leave_the_bits_of_single_ones(cell: str) -> None:
    assert fused_difference(make_problem(JOBS["weather"], cell, "float32")) == 0.0


def test_fused_steps_that_do_something_else_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def other_batch(self: OneByOne, indices: Indices) -> Batch:
        return self.source.batch(np.roll(np.asarray(indices) + 1, 1) % len(self))

    monkeypatch.setattr(OneByOne, "batch", other_batch)
    assert fused_difference(make_problem(JOBS["weather"], "gru", "float64")) > FUSED_TOLERANCE


@pytest.mark.parametrize("name", sorted(EVERY_JOB))
def test_a_problem_is_the_same_in_every_process_and_dtype(name: str) -> None:
    job = EVERY_JOB[name]
    single, double = (make_problem(job, job.cells[0], dtype) for dtype in ("float32", "float64"))
    assert single.x.shape == (job.B, job.T, job.D)
    np.testing.assert_array_equal(single.x, double.x)
    for key, value in single.parameters.items():
        np.testing.assert_array_equal(value, double.parameters[key])
    again = make_problem(job, job.cells[0], "float32")
    np.testing.assert_array_equal(again.y, single.y)
