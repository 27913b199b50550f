"""Cells of the user's own: handed in when a file is read, with the equations that it was written with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bptt.activations import sigmoid, tanh
from bptt.cells import LSTM, Cell, Elman
from bptt.errors import InvalidInput, InvalidType
from bptt.models import cell_digest, load, save
from tests.models.made import Minimal, edit, other_minimal, put, refused, stack


def test_an_own_cell_must_be_handed_in(tmp_path: Path) -> None:
    path = save(stack(Minimal(leak=0.1)), tmp_path / "m")
    expected = (
        f"{path}: cell 'minimal' must be handed in, as it is none of ours: "
        "load(path, cells=[...]) with its class. Got "
    )
    assert refused(path) == expected + "none"
    assert refused(path, cells=[LSTM]) == expected + "lstm"
    assert load(path, cells=(Minimal,)).cell == Minimal(leak=0.1)
    edit(path, put("config", "cell", "lek", value=3))
    assert refused(path, cells=[Minimal]) == (
        f"{path}: option of the minimal cell must be one of leak, squash. Got 'lek'"
    )


def changed_forward(a_f: Any, a_n: Any, h_prev: Any, p_f: Any, leak: Any, squash: Any) -> Any:
    f = sigmoid(a_f + p_f * h_prev)
    n = squash(a_n)
    h = leak * h_prev + n * f
    return h, f, n


@pytest.mark.parametrize(
    "other",
    [
        other_minimal(forward=staticmethod(changed_forward)),
        other_minimal(gates=("n", "f")),
        other_minimal(stages=(type("A", (Minimal,), {"products": {"W_xh": "x", "W_hh": "x"}}),)),
    ],
    ids=["forward", "order of gates", "product"],
)
def test_an_own_cell_must_have_the_equations_of_the_file(tmp_path: Path, other: type[Cell]) -> None:
    path = save(stack(Minimal), tmp_path / "m")
    assert refused(path, cells=[other]) == (
        f"{path}: equations of cell 'minimal' must be those that it was saved with. Got others: "
        "load it with the class as it was"
    )


def test_other_constants_are_no_other_equations(tmp_path: Path) -> None:
    path = save(stack(Minimal), tmp_path / "m")
    found = load(path, cells=[other_minimal(constants={"leak": 0.75})])
    assert found.cell.options == {"leak": 0.25, "squash": "tanh"}
    assert cell_digest(Minimal(leak=0.1)) == cell_digest(Minimal())


class Impostor(Elman):
    """Has the name of one of ours."""

    @staticmethod
    def forward(a_h: Any) -> Any:
        h = tanh(a_h) - a_h
        return h  # noqa: RET504  # a formula returns names

    backward = None
    functions = {}


def test_a_cell_with_the_name_of_ours_is_no_other(tmp_path: Path) -> None:
    ours, own = save(stack("elman"), tmp_path / "ours"), save(stack(Impostor), tmp_path / "own")
    assert type(load(ours, cells=[Impostor]).cell) is Elman
    assert type(load(own, cells=[Impostor]).cell) is Impostor
    assert refused(own).endswith("cells=[...]) with its class. Got none")


@pytest.mark.parametrize(
    ("cells", "error", "message"),
    [
        (Minimal, InvalidType, f"cells must be a sequence of Cell classes. Got {Minimal!r}"),
        ([Minimal()], InvalidType, "cells must hold Cell classes. Got Minimal(leak=0.25, squash='tanh')"),
        (["lstm"], InvalidType, "cells must hold Cell classes. Got 'lstm'"),
        ([Minimal, other_minimal()], InvalidInput, "cells must have different names. Got 'minimal' twice"),
    ],
)
def test_what_is_handed_in_must_be_cells(
    saved: Path, cells: Any, error: type[Exception], message: str
) -> None:
    assert refused(saved, error, cells=cells) == message
