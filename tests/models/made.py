"""Models of every kind, and a model file with another description, which the tests of model files share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.activations import sigmoid
from bptt.cells import CELLS, Cell
from bptt.errors import FileFormatError
from bptt.losses import CrossEntropy, Huber, Pinball
from bptt.models import load
from bptt.network import Network, Recurrent
from tests.files.sealing import joined, parts_of

D, H, K, B, T = 3, 5, 2, 4, 6


class Minimal(Cell):
    """A minimal gated unit with a constant and a function of its own choosing."""

    name = "minimal"
    gates = ("f", "n")
    products = {"W_xh": "x", "W_hh": "h"}  # as the protocol has it
    vectors = {"p_f": 0.5}
    constants = {"leak": 0.25}
    functions = {"squash": "tanh"}

    @staticmethod
    def forward(a_f: Any, a_n: Any, h_prev: Any, p_f: Any, leak: Any, squash: Any) -> Any:
        f = sigmoid(a_f + p_f * h_prev)
        n = squash(a_n)
        h = leak * h_prev + f * n
        return h, f, n


def other_minimal(**changes: Any) -> type[Cell]:
    """Return a class of the same name and forward with other declarations."""
    return type("Minimal", (Minimal,), changes)


def randomised(model: Any, rng: np.random.Generator) -> Any:
    for p in model.parameters.values():
        p[...] = 0.5 * rng.standard_normal(p.shape)
    return model


def stack(cell: Any = "lstm", **options: Any) -> Recurrent:
    return Recurrent(cell, options.pop("input_size", D), H, **options)


MASK = (np.arange(H * H).reshape(H, H) % 3 > 0).astype(int)
SIGNS = np.array([1, -1, 1, 1, -1])
MODELS: dict[str, Callable[[], Any]] = {
    **{f"stack_{name}": lambda name=name: stack(name) for name in CELLS},
    **{f"no_bias_{name}": lambda name=name: stack(name, bias=False, dtype="float32") for name in CELLS},
    "relu": lambda: stack("elman", activation="relu"),
    "reverse": lambda: stack("gru", direction="reverse", num_layers=2),
    "bidirectional": lambda: stack("lstm", direction="bidirectional", num_layers=3, dropout=0.25),
    "mask": lambda: stack("gru", mask=MASK),
    "signs": lambda: stack("elman", signs=SIGNS),
    "mask_and_signs": lambda: stack("lstm", mask=MASK, signs=SIGNS, direction="bidirectional"),
    "own_cell": lambda: stack(Minimal(leak=0.1, squash="relu"), num_layers=2),
    "net": lambda: Network(stack(), K),
    "net_every": lambda: Network(stack(dtype="float32"), K, readout="every", output_activation="sigmoid", bias=False),
    "net_both": lambda: Network(stack(direction="bidirectional"), K, linear_lags=4, learned_initial_state=True),
    "net_change": lambda: Network(stack("gru"), K, change_of=(2, 0), change_scale=0.1 + 0.2, linear_lags=2),
    "net_feedback": lambda: Network(stack("elman", input_size=D + K), K, readout="every", feedback=True),
    "net_fed_back_alone": lambda: Network(
        stack("lstm", input_size=K), K, feedback=True, readout="every", learned_initial_state=True
    ),
    "net_classes": lambda: Network(stack(), K, loss=CrossEntropy(time="sum")),
    "net_huber": lambda: Network(stack(), K, loss=Huber(0.1 + 0.2)),
    "net_pinball": lambda: Network(stack(), K, loss=Pinball((0.1, 0.9))),
    "net_own_cell": lambda: Network(stack(Minimal), K, linear_lags=1),
}  # fmt: skip


def outputs(model: Any, rng: np.random.Generator) -> list[Any]:
    """Return everything that a model computes from some input."""
    lengths = [6, 2, 5, 1]
    if isinstance(model, Recurrent):
        h, state, _ = model.forward(rng.standard_normal((B, T, model.input_size)), lengths=lengths)
        return [h, *state.values()]
    x = rng.standard_normal((B, T, model.input_size))
    found = model.forward(x, lengths=None if model.feedback else lengths)
    rows = (B, T) if model.readout == "every" else (B,)
    if model.loss.class_targets:
        y = rng.integers(0, K, rows)
    else:
        y = rng.standard_normal((*rows, 1 if isinstance(model.loss, Pinball) else K))
    loss = model.loss_and_gradients(x, y)
    return [found.y_hat, *found.state.values(), loss.loss, *loss.gradients.parameters.values()]


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change the description inside a model file; its digest is made to fit."""
    header, description, data = parts_of(path.read_bytes())
    change(description)
    path.write_bytes(joined(header, description, data))
    return path


def refused(path: Path, error: type[Exception] = FileFormatError, **options: Any) -> str:
    with pytest.raises(error) as caught:
        load(path, **options)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    return str(caught.value)


def put(*path: str, value: Any) -> Callable[[dict[str, Any]], object]:
    def change(description: dict[str, Any]) -> None:
        inside = description
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = value

    return change


def drop(*path: str) -> Callable[[dict[str, Any]], object]:
    def change(description: dict[str, Any]) -> None:
        inside = description
        for key in path[:-1]:
            inside = inside[key]
        del inside[path[-1]]

    return change
