"""The table behind `bptt gradcheck`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.cells import CELLS
from bptt.errors import InvalidInput
from bptt.verify import ConfigurationCheck, configurations, gradcheck_table
from tests.cells.foreign import LeakyUnit, SpikingUnit
from tests.verify.broken import ForgetSeesNewState


@pytest.mark.parametrize("cell", [*CELLS])
def test_every_cell_in_every_configuration(cell: str) -> None:
    """The bar of the gradients: cells x layers x directions x ragged x state x feedback, float64."""
    rows = gradcheck_table([cell])
    assert len(rows) == (4 if cell == "elman" else 1) * 2 * (3 * 2 * 2 + 2)
    assert all(row.passed for row in rows), [str(row.report) for row in rows if not row.passed]
    assert max(row.complex_step for row in rows) <= 1e-12
    assert max(row.central for row in rows) <= 1e-7


def test_default_is_all_of_ours() -> None:
    names = {c.cell_name for c in configurations()}
    assert names == {*CELLS} - {"elman"} | {f"elman:{a}" for a in ("tanh", "relu", "sigmoid", "identity")}


def test_rows_are_what_was_asked_for() -> None:
    seen: list[ConfigurationCheck] = []
    rows = gradcheck_table(
        ["gru"],
        (2,),
        ("bidirectional",),
        (True,),
        (True,),
        (False,),
        (False,),
        5,
        "float32",
        on_row=seen.append,
    )
    assert rows == tuple(seen)
    (row,) = rows
    c = row.configuration
    assert (c.cell_name, c.layers, c.direction, c.ragged, c.state, c.feedback, c.bias) == (
        "gru", 2, "bidirectional", True, True, False, False
    )  # fmt: skip
    names = {check.name for check in row.report.rows}
    assert row.tensors == len(names) == 2 * 2 * 2 + 2
    assert "layers.1.reverse.W_hh" in names
    assert row.report.notes == ("parameters were cast from float32 to float64 for the check",)


def test_feedback_checks_the_readout_inside_the_loop() -> None:
    (row,) = gradcheck_table(["lstm"], (1,), ("forward",), (False,), (False,), (True,))
    assert {"readout.W_hy", "readout.b_y", "y_start", "x", "state.c"} <= {r.name for r in row.report.rows}


def test_feedback_goes_forward_over_rows_of_one_length() -> None:
    found = [c for c in configurations(["gru"]) if c.feedback]
    assert found
    assert {(c.direction, c.ragged) for c in found} == {("forward", False)}


def test_one_activation_and_cells_of_ones_own() -> None:
    made = configurations(
        ["elman:relu", LeakyUnit, SpikingUnit()], (1,), ("forward",), (False,), (False,), (False,)
    )
    assert [c.cell_name for c in made] == ["elman:relu", "leaky", "spiking"]
    (spiking,) = gradcheck_table([SpikingUnit], (1,), ("forward",), (True,), (True,), (False,))
    assert spiking.passed
    assert np.isnan(spiking.central)


def test_a_wrong_cell_is_a_failed_row_and_no_exception() -> None:
    rows = gradcheck_table([ForgetSeesNewState], (1,), ("forward", "reverse"), (False,), (False,), (False,))
    assert [row.passed for row in rows] == [False, False]
    assert min(row.complex_step for row in rows) > 1e-3


def test_a_seed_gives_the_same_table() -> None:
    some: dict[str, Any] = {"layers": (1,), "directions": ("reverse",), "ragged": (True,)}
    assert gradcheck_table(["gru"], **some, seed=2) == gradcheck_table(["gru"], **some, seed=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"cell_names": ["lstn"]},
            r"^cell must be one of elman, gru, gru_reset_before, lstm, lstm_peephole\. Got 'lstn'$",
        ),
        (
            {"cell_names": ["elman:gelu"]},
            r"^activation must be one of tanh, relu, sigmoid, identity, softplus\. Got 'gelu'$",
        ),
        (
            {"cell_names": []},
            r"^gradcheck needs at least one combination\. Got none: feedback runs forward, over rows of",
        ),
        ({"directions": ("reverse",), "feedback": (True,)}, r"^gradcheck needs at least one combination"),
        ({"directions": ("up",)}, r"^directions must be one of forward, reverse, bidirectional\. Got 'up'$"),
        ({"layers": (0,)}, r"^layers must be at least 1\. Got 0$"),
        ({"dtype": "float16"}, r"^dtype must be one of float32, float64\. Got 'float16'$"),
        ({"seed": -1}, r"^seed must be at least 0\. Got -1$"),
    ],
)
def test_messages(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        gradcheck_table(**{"cell_names": ["gru"], **options})
