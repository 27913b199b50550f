"""The comparison with the toolkits: what everyone is given, what counts as an error, a toolkit that is absent."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.forecasting import rivals_bptt
from benchmarks.forecasting.rivals import HORIZON, SPACING, Entry, entries, errors, make_problem, race
from benchmarks.forecasting.rivals_worker import Problem, read_problem, write_problem
from bptt.data import load_nyc
from bptt.forecast.fitting.trained import forecast_line
from tests.forecast.panels import TINY

# Carried on by streams and run at once: another order of sums.
CARRIED = {"rtol": 1e-9, "atol": 1e-9}


def small(rng: np.random.Generator) -> Problem:
    times = np.datetime64("2021-03-01", "s") + np.arange(173) * np.timedelta64(3600, "s")
    y = np.sin(np.arange(173) / 4) + 0.1 * rng.normal(size=173)
    return Problem(
        times, y, rng.normal(size=(173, 2)), rng.normal(size=(173, 3)), 131, np.arange(140, 165, 7), 5, 24
    )


def test_everyone_is_given_the_training_rows_scaled_by_themselves(tmp_path: Path) -> None:
    table = load_nyc().table
    problem, unit = make_problem(table)
    temperature = table.column("TEMP")
    scaled = (temperature - temperature[: problem.train].mean()) / unit
    np.testing.assert_allclose(problem.y, scaled[: len(problem.y)], rtol=1e-12)
    assert unit == pytest.approx(temperature[: problem.train].std())
    assert problem.past.shape == (len(problem.y), 5)
    assert len(problem.known) == len(problem.y) == problem.origins[-1] + 1 + HORIZON
    assert problem.origins[0] == problem.train + 23
    assert set(np.diff(problem.origins)) == {SPACING} == {problem.spacing}
    write_problem(problem, tmp_path)
    again = read_problem(tmp_path)
    for name, value in vars(problem).items():
        np.testing.assert_array_equal(getattr(again, name), value)
        assert type(getattr(again, name)) is type(value)


def test_errors_are_those_of_each_step_in_the_targets_unit(rng: np.random.Generator) -> None:
    problem, unit = make_problem(load_nyc().table)
    truth = problem.y[problem.origins[:, None] + 1 + np.arange(HORIZON)]
    size = rng.uniform(0.5, 2.0, HORIZON)
    sign = rng.choice([-1.0, 1.0], truth.shape)
    np.testing.assert_allclose(errors(problem, truth + sign * size, unit), size * unit, rtol=1e-12)


def test_our_side_forecasts_the_same_in_one_go_and_row_by_row(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    problem = small(rng)
    settings = {"recipe": TINY.to_config(), "seed": 3, "threads": 1}
    made = rivals_bptt.fit(problem, {**settings, "recipe": {**settings["recipe"], "shorter": ()}})
    assert made.forecasts().shape == (4, 5)
    made.save(tmp_path)
    write_problem(problem, tmp_path)
    again = rivals_bptt.load(tmp_path)
    after = forecast_line(made.model.fitted.trained, rivals_bptt._line(problem), np.arange(131, 134))
    for k in range(3):
        np.testing.assert_allclose(made.once(), after[k], **CARRIED)
        np.testing.assert_allclose(again.once(), after[k], **CARRIED)


def test_the_toolkits_make_as_many_updates_as_one_of_our_networks() -> None:
    updates = {each.settings["given"]["max_steps"] for each in entries("ours") if each.toolkit != "bptt"}
    assert updates == {rivals_bptt.Recipe().updates}
    assert {each.toolkit for each in entries("ours")} == {each.toolkit for each in entries("theirs")}


def test_a_toolkit_that_is_absent_is_named(rng: np.random.Generator) -> None:
    if importlib.util.find_spec("neuralforecast"):
        pytest.skip("neuralforecast is installed")
    entry = Entry("neuralforecast", "GRU", {"model": "GRU", "given": {}})
    found = race(entry, sys.executable, small(rng), 0, 1, 1)
    assert found == {"failed": "ModuleNotFoundError: No module named 'neuralforecast'"}
