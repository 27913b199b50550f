"""Records, parameters and keys that do not belong: one clear line each."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent

X = np.zeros((2, 3, 2))


def stack(**settings: Any) -> Recurrent:
    return Recurrent("gru", 2, 3, **settings)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layers.0.W_hh": None}, "parameters: layers.0.W_hh must be there. Got layers.0.W_xh, "),
        ({"other": np.zeros(2)}, "parameters: other must be left out, as there is no such parameter. Got "),
        ({"layers.0.b_h": np.zeros(4)}, "parameters: layers.0.b_h must have shape (9,). Got (4,)"),
    ],
)
def test_parameters_that_do_not_fit(changed: dict[str, Any], message: str) -> None:
    for model in (stack(), Network(stack())):
        given = {name: p for name, p in {**model.parameters, **changed}.items() if p is not None}
        with pytest.raises(InvalidInput, match=re.escape(message)):
            model.forward(X, parameters=given)
        with pytest.raises(InvalidType, match="parameters must map names to arrays"):
            model.forward(X, parameters=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [3, (0, -1), (0.5, 1), (1, 2, 3), (True, 1)])
def test_dropout_keys(key: Any) -> None:
    message = re.escape(f"dropout_key must be (seed, step), two whole numbers of at least 0. Got {key!r}")
    for model in (stack(), Network(stack())):
        with pytest.raises(InvalidInput, match=message):
            model.forward(X, dropout_key=key)


def test_records_of_something_else() -> None:
    with pytest.raises(InvalidType, match=r"tape must be the StackTape that forward returned\. Got ndarray"):
        stack().backward(X)  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match=r"record must be the Pass that forward returned\. Got NoneType"):
        Network(stack()).backward(None, X)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"tape must come from a pass of this stack\. Got one of 1 layers"):
        stack(num_layers=2).backward(stack().forward(X)[2])
    with pytest.raises(InvalidInput, match=r"want must hold only parameters, state0, x\. Got param"):
        stack().backward(stack().forward(X)[2], want={"param"})
