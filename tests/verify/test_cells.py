"""`check_cell` and `check_formulas`."""

# A formula names what it returns.
# ruff: noqa: RET504

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.activations import tanh
from bptt.cells import GRU, LSTM, Cell, Elman, GRUResetBefore
from bptt.errors import GradientError, InvalidInput, InvalidType
from bptt.verify import check_cell, check_formulas
from tests.cells.contract import without_backward


def test_covers_layers_directions_bias_and_ragged_rows() -> None:
    report = check_cell("lstm_peephole", max_entries=1, methods=("complex",))
    places = {row.where for row in report.rows if row.where}
    assert len(places) == 2 * 3 * 2 * 2
    assert {
        "1 layer, forward",
        "2 layers, bidirectional, no bias, ragged",
        "2 layers, reverse, ragged",
    } <= places
    assert {row.name for row in report.rows if row.method == "formula"} == {
        f"PeepholeLSTM.backward d{name}"
        for name in ("a_i", "a_f", "a_g", "a_o", "c_prev", "p_i", "p_f", "p_o")
    }
    assert report.title == "check of PeepholeLSTM()"
    assert report.notes == ()


def test_takes_names_classes_objects_and_options() -> None:
    few: dict[str, Any] = {"layers": (1,), "directions": ("reverse",), "bias": (False,), "max_entries": 1}
    for cell, options in (
        ("elman", {"activation": "relu"}),
        (Elman, {"activation": "relu"}),
        (Elman(activation="relu"), {}),
    ):
        assert check_cell(cell, **options, **few).title == "check of Elman(activation='relu')"


def test_stages_are_named(rng: np.random.Generator) -> None:
    names = {row.name for row in check_formulas(GRUResetBefore())}
    assert "GRUResetBefore._Gates.backward da_r" in names
    assert "GRUResetBefore._Candidate.backward dz" in names


def test_formulas_take_their_seed() -> None:
    assert check_formulas(LSTM(), seed=1) == check_formulas(LSTM(), seed=1)
    assert check_formulas(LSTM(), seed=1) != check_formulas(LSTM(), seed=2)


class GradientWhereThereIsNone(Elman):
    """Says that h depends on what it does not depend on."""

    name = "none"

    @staticmethod
    def forward(a_h: Any, h_prev: Any) -> Any:
        h = tanh(a_h) + 0 * h_prev
        return h

    @staticmethod
    def backward(dh: Any, h: Any) -> Any:
        da_h = dh * (1 - h * h)
        dh_prev = dh
        return da_h, dh_prev


def test_a_gradient_where_there_is_none_is_wrong() -> None:
    rows = {row.name: row for row in check_formulas(GradientWhereThereIsNone())}
    assert rows["GradientWhereThereIsNone.backward da_h"].passed
    assert rows["GradientWhereThereIsNone.backward dh_prev"].error == float("inf")


class HalfWritten(GRUResetBefore):
    """One stage with a backward, one without."""

    name = "half_written"
    stages = (GRUResetBefore.stages[0], without_backward(GRUResetBefore()).stages[1])


def test_a_cell_may_state_some_of_its_backwards() -> None:
    report = check_cell(HalfWritten, layers=(1,), max_entries=2)
    assert report.notes == (
        "1 of its stages states no backward: forward-mode numbers take its place, and no formula was compared",
    )
    assert {row.name for row in report.rows if row.method == "formula"} == {
        f"HalfWritten._Gates.backward {name}" for name in ("da_r", "da_z", "dh_prev")
    }


class Unbounded(Cell):
    """NaN at the first step."""

    name = "unbounded"
    gates = ("h",)

    @staticmethod
    def forward(a_h: Any) -> Any:
        h = a_h * 1e200 * 1e200 * 0
        return h


def test_a_cell_of_nan_fails() -> None:
    with np.errstate(all="ignore"), pytest.raises(GradientError, match="nan"):
        check_cell(Unbounded, layers=(1,), directions=("forward",), max_entries=1)


@pytest.mark.parametrize(
    ("cell", "options", "error", "message"),
    [
        ("lstn", {}, InvalidInput,
         r"^cell must be one of elman, gru, gru_reset_before, lstm, lstm_peephole\. Got 'lstn'$"),
        (3, {}, InvalidType, r"^cell must be a name, a Cell or a Cell class\. Got 3$"),
        ("lstm", {"directions": ("up",)}, InvalidInput,
         r"^direction must be one of forward, reverse, bidirectional\. Got 'up'$"),
        ("lstm", {"layers": (0,)}, InvalidInput, r"^num_layers must be at least 1\. Got 0$"),
        ("lstm", {"seed": -1}, InvalidInput, r"^seed must be at least 0\. Got -1$"),
        ("lstm", {"methods": "complex"}, InvalidInput, r"^methods must be a sequence"),
    ],
)  # fmt: skip
def test_messages(cell: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_cell(cell, **options)


class SlightlyWrongGRU(GRU):
    """One line of the backward is off by a hundredth; every gradient behind it is wrong too."""

    name = "slightly_wrong_gru"

    @staticmethod
    def backward(dh: Any, r: Any, z: Any, n: Any, q: Any, h_prev: Any) -> Any:
        dh_prev = dh * z
        dz = dh * (h_prev - n)
        dn = dh * (1 - z)
        da_xn = 1.01 * dn * (1 - n * n)
        dr = da_xn * q
        da_hn = da_xn * r
        db_hn = da_xn * r
        da_z = dz * z * (1 - z)
        da_r = dr * r * (1 - r)
        return da_r, da_z, da_xn, da_hn, db_hn, dh_prev


def test_the_wrong_formula_is_named_before_what_is_wrong_because_of_it() -> None:
    with pytest.raises(GradientError, match=r"^SlightlyWrongGRU\.backward da_") as caught:
        check_cell(SlightlyWrongGRU, layers=(1,), directions=("forward",), bias=(True,))
    assert "must agree with formulas" in str(caught.value)
