"""What Lab 9 prints, on its own file; skipped where the file is not at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.data import Scaler, Windows, load_weather, split_days
from bptt.labs.weather.facts import (
    GRADIENT_B,
    GRADIENT_C,
    GRADIENT_U,
    GRADIENT_W,
    LOSS,
    Fact,
    lab_facts,
    spread,
)
from bptt.labs.weather.lab import lab_network


@pytest.fixture(scope="module")
def lab(data_file: Any) -> tuple[Any, Any, Windows]:
    data = load_weather(data_file("beijing_pm25.csv"))
    rows = split_days(len(data.values)).train
    scaled = Scaler.fit(data.values[rows], data.columns).transform(data.values[rows])
    return data, scaled, Windows(scaled, targets=[data.target_index], length=24)


def of(found: list[Fact], words: str) -> Fact:
    (fact,) = (fact for fact in found if words in fact.what)
    return fact


def test_every_printed_fact_holds(lab: tuple[Any, Any, Windows]) -> None:
    data, scaled, windows = lab
    assert data.columns == ("DEWP", "TEMP", "PRES", "Iws", "Is", "Ir")
    for seed in range(3):
        found = lab_facts(data.values, scaled, lab_network(6, seed), windows)
        assert [fact.what for fact in found if not fact.holds] == []
    assert of(found, "six first rows").here == "-21 -11 1021 1.79 0 0; ..."
    assert of(found, "whole days").here == "42984 6"
    assert of(found, "deviations").here == "1 1 1 1 1 1"
    assert of(found, "shape of a window").here == "24 6"
    assert of(found, "hidden states").here == "25 10"
    assert of(found, "gradient of V").here == "1 10"


def test_the_printed_loss_is_the_square_of_half_the_printed_gradient() -> None:
    assert pytest.approx(LOSS, abs=1e-7) == (GRADIENT_C / 2) ** 2


def test_the_printed_gradients_have_the_same_proportions() -> None:
    """The start is nearly linear: every column is the transpose of V, times a number."""
    for column in (GRADIENT_W, GRADIENT_U):
        assert spread(np.array(column), np.array(GRADIENT_B)) < 1e-3


def test_a_fact_that_does_not_hold_is_told(lab: tuple[Any, Any, Windows]) -> None:
    data, scaled, windows = lab
    net = lab_network(6, 0)
    net.parameters["layers.0.W_hh"][...] *= 3000.0  # not nearly linear any more
    found = lab_facts(data.values[:-24] + 1, 1.5 * scaled + 0.1, net, windows)
    held = {fact.what for fact in found if fact.holds}
    for words in ("six first rows", "whole days", "means", "deviations", "proportions"):
        assert of(found, words).what not in held, words
