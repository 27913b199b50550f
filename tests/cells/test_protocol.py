"""The cell class: options, configuration, equality."""

from __future__ import annotations

from typing import Any

import pytest

from bptt.activations import FUNCTIONS
from bptt.cells import GRU, LSTM, Cell, Elman, GRUResetBefore
from bptt.errors import InvalidInput, InvalidType
from tests.cells.foreign import CoupledOscillator, LeakyUnit, SpikingUnit


def test_options_are_constants_and_functions() -> None:
    assert Elman().options == {"activation": "tanh"}
    assert Elman(activation="relu").options == {"activation": "relu"}
    assert CoupledOscillator(dt=0.1).options == {"dt": 0.1, "gamma": 1.3, "epsilon": 0.7}
    assert LSTM().options == {}


def test_functions_come_with_their_derivatives() -> None:
    bound = Elman(activation="sigmoid").bound_functions
    assert bound == {
        "activation": FUNCTIONS["sigmoid"],
        "activation_derivative": FUNCTIONS["sigmoid_derivative"],
    }


def test_configuration_and_text() -> None:
    assert Elman(activation="relu").config() == {"name": "elman", "activation": "relu"}
    assert repr(Elman(activation="relu")) == "Elman(activation='relu')"
    assert repr(LSTM()) == "LSTM()"


def test_equal_where_class_and_options_are() -> None:
    assert Elman() == Elman(activation="tanh")
    assert hash(Elman()) == hash(Elman(activation="tanh"))
    assert Elman() != Elman(activation="relu")
    assert LSTM() != GRU()
    assert LSTM() != "lstm"


def test_stages_and_gates() -> None:
    assert LSTM().all_stages == (LSTM,)
    assert len(GRUResetBefore().all_stages) == 2
    assert GRUResetBefore().all_gates == ("r", "z", "n")


def test_surrogate_is_what_calls_spike() -> None:
    assert SpikingUnit().surrogate
    assert not LeakyUnit().surrogate


class Nameless(Cell):
    constants = {"k": 1.0}


@pytest.mark.parametrize(
    ("cell", "options", "error", "message"),
    [
        (Elman, {"activatoin": "relu"}, InvalidInput,
         "option of the elman cell must be one of activation. Got 'activatoin'"),
        (LSTM, {"activation": "relu"}, InvalidInput,
         "option of the lstm cell must be one of (it takes none). Got 'activation'"),
        (Nameless, {"m": 1.0}, InvalidInput, "option of the Nameless cell must be one of k. Got 'm'"),
        (Elman, {"activation": "gelu"}, InvalidInput,
         "activation must be one of tanh, relu, sigmoid, identity, softplus. Got 'gelu'"),
        (CoupledOscillator, {"dt": "fast"}, InvalidType, "dt must be a number. Got 'fast'"),
        (CoupledOscillator, {"dt": float("nan")}, InvalidInput, "dt must be finite. Got nan"),
    ],
)  # fmt: skip
def test_messages(cell: type[Cell], options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        cell(**options)
    assert str(caught.value) == message
