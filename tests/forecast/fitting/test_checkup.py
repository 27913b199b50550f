"""The doctor's line at the end of a fit: sick forecasters are named, healthy ones are left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bptt
from bptt.forecast import Forecaster
from bptt.forecast.fitting.checkup import input_names
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.recipe import Recipe
from tests.forecast.panels import NETWORK, TINY, make_panel

# Enough updates that a healthy network has learnt its wave.
HEALTHY = replace(NETWORK, updates=400, length=40)


def linear(rng: np.random.Generator, rows: int) -> np.ndarray:
    y, e = np.zeros(rows), rng.standard_normal(rows)
    for t in range(1, rows):
        y[t] = 0.8 * y[t - 1] + e[t]
    return y


def nonlinear(rng: np.random.Generator, rows: int) -> np.ndarray:
    y, e = np.zeros(rows), 0.3 * rng.standard_normal(rows)
    for t in range(2, rows):
        y[t] = 0.6 * np.sin(2 * y[t - 1]) + 0.3 * y[t - 2] + e[t]
    return y


@pytest.mark.parametrize("horizon", [1, 5])
def test_a_column_that_holds_the_target_is_named(rng: np.random.Generator, horizon: int) -> None:
    y = nonlinear(rng, 900)
    leak = np.concatenate([y[horizon:], rng.standard_normal(horizon)])
    honest = np.roll(y, 2) + rng.standard_normal(900)
    made = Forecaster("y", horizon, recipe=TINY).fit(
        {"y": y, "honest": honest, "sales": leak}, progress=False
    )
    assert made.diagnosis is not None
    first = made.diagnosis.findings[0]
    assert (first.disease, first.place) == ("target leakage", "input sales")
    if horizon == 5:
        assert "the target 5 rows ahead" in first.seen


def test_a_random_walk_only_repeats_its_last_value(rng: np.random.Generator) -> None:
    made = Forecaster("y", 3, recipe=TINY).fit({"y": np.cumsum(rng.standard_normal(900))}, progress=False)
    assert made.diagnosis is not None
    assert made.diagnosis.diseases[-1] == "repeats the last value"
    assert made.diagnosis.findings[-1].numbers["skill"] <= 0.03


def test_a_rate_that_is_too_low_is_named_with_the_network_it_was_seen_in(rng: np.random.Generator) -> None:
    for y, step_back, place in (
        (nonlinear(rng, 900), False, "learning rate 1e-05"),
        (np.cumsum(rng.standard_normal(900)), True, "left out"),
    ):
        recipe = replace(TINY, rate=1e-5, step_back=step_back)
        made = Forecaster("y", 1, recipe=recipe).fit({"y": y}, progress=False)
        assert made.diagnosis is not None
        assert made.diagnosis.diseases[0] == "learning rate too low"
        assert made.diagnosis.findings[0].place.endswith(place)


@pytest.mark.parametrize("kind", ["wave", "nonlinear", "linear"])
def test_healthy_series_raise_no_alarm(rng: np.random.Generator, kind: str) -> None:
    if kind == "linear":
        y = linear(rng, 1200)
    else:
        y = nonlinear(rng, 1200)
        if kind == "wave":
            y = 0.3 * y + 2 * np.sin(np.arange(1200) * 2 * np.pi / 6)
    made = Forecaster("y", 2, recipe=HEALTHY).fit({"y": 40 + 7 * y}, progress=False)
    assert made.diagnosis is not None
    assert made.diagnosis.diseases == ()
    assert "the first of 2 networks, before the closed form, explains" in made.diagnosis.line
    assert made.diagnosis.line.endswith(f", on {made.diagnosis.examples} stretches of {HEALTHY.length} rows")


def test_nothing_to_learn_has_no_diagnosis_and_a_file_holds_none(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    made = Forecaster("y", recipe=TINY).fit({"y": np.full(50, 3.0)}, progress=False)
    assert made.diagnosis is None
    made = Forecaster("y", recipe=TINY).fit({"y": nonlinear(rng, 300)}, progress=False)
    assert made.diagnosis is not None
    loaded = bptt.load(made.save(tmp_path / "m.safetensors"))
    assert loaded.diagnosis is None


def test_the_forecast_does_not_depend_on_being_examined(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 211, future=1)
    examined, plain = (fit_panel(panel, horizon=3, recipe=NETWORK, doctor=doctor) for doctor in (True, False))
    assert examined.diagnosis is not None
    assert plain.diagnosis is None
    for a, b in zip(examined.trained.nets, plain.trained.nets, strict=True):
        for name, values in a.parameters.items():
            np.testing.assert_array_equal(values, b.parameters[name])


def test_every_input_has_a_name(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 211, 90, past=3, future=2, ahead=3)
    encoding = fit_panel(panel, horizon=3, recipe=Recipe(updates=1, step_back=True)).trained.encoding
    names = input_names(encoding)
    assert len(names) == encoding.inputs
    assert names.index("the change of past 0") == 5
