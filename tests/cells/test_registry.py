"""Cells by name."""

from __future__ import annotations

from typing import Any

import pytest

from bptt.cells import CELLS, LSTM, Elman, get_cell
from bptt.errors import InvalidInput, InvalidType
from tests.cells.foreign import LeakyUnit


def test_every_cell_stands_under_its_own_name() -> None:
    assert list(CELLS) == ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole"]
    for name, cell in CELLS.items():
        assert cell.name == name
        assert type(get_cell(name)) is cell


def test_a_class_or_an_object_does_as_well() -> None:
    relu = Elman(activation="relu")
    assert get_cell(relu) is relu
    assert get_cell(Elman, {"activation": "relu"}) == relu
    assert get_cell("elman", {"activation": "relu"}) == relu


def test_own_cells_come_before_ours() -> None:
    class Mine(LSTM):
        name = "lstm"

    assert type(get_cell("lstm", own=[Mine])) is Mine
    assert type(get_cell("leaky", own=[LeakyUnit])) is LeakyUnit


@pytest.mark.parametrize(
    ("cell", "options", "error", "message"),
    [
        ("leaky", {}, InvalidInput,
         "cell must be one of elman, gru, gru_reset_before, lstm, lstm_peephole. Got 'leaky'"),
        (None, {}, InvalidType, "cell must be a name, a Cell or a Cell class. Got None"),
        (int, {}, InvalidType, "cell must be a name, a Cell or a Cell class. Got <class 'int'>"),
        (Elman(), {"activation": "relu"}, InvalidInput,
         "options must be given to the cell itself when it is an object. "
         "Got activation beside Elman(activation='tanh')"),
    ],
)  # fmt: skip
def test_messages(cell: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        get_cell(cell, options)
    assert str(caught.value) == message


def test_own_names_are_offered() -> None:
    with pytest.raises(InvalidInput, match=r"lstm_peephole, leaky\. Got 'leeky'$"):
        get_cell("leeky", own=[LeakyUnit])
