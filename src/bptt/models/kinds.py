"""What a file may hold: each kind's cell, the arrays that its configuration asks for, and how it is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.cells import CELLS, Cell, get_cell
from bptt.checks import check_choice, check_dtype, check_whole
from bptt.errors import InvalidInput
from bptt.initializers import Constant
from bptt.losses import get_loss
from bptt.models.fields import NETWORK, STACK, STACK_OPTIONAL, Config, check_fields
from bptt.models.own_cells import cell_digest
from bptt.network import Network, Recurrent
from bptt.network.layers import DIRECTIONS
from bptt.network.parameters import cell_shapes, prefixes

Model = Network | Recurrent
Shapes = Iterator[tuple[str, tuple[int, ...]]]


def _stack_cell(config: Config, own: Mapping[str, type[Cell]], digest: str | None) -> Cell:
    """Return the cell of a stack's configuration: one of ours, or with a digest one of the user's."""
    check_fields("recurrent", config, STACK, STACK_OPTIONAL)
    options = dict(config["cell"])
    name = options.pop("name", None)
    known = CELLS if digest is None else own
    if not isinstance(name, str) or name not in known:
        if digest is None:
            raise InvalidInput(f"cell must be one of {', '.join(CELLS)}. Got {name!r}")
        raise InvalidInput(
            f"cell {name!r} must be handed in, as it is none of ours: load(path, cells=[...]) with its class. "
            f"Got {', '.join(own) or 'none'}"
        )
    made = known[name]
    for option in options:
        if option not in made.constants and option not in made.functions:
            allowed = ", ".join((*made.constants, *made.functions)) or "(it takes none)"
            raise InvalidInput(f"option of the {name} cell must be one of {allowed}. Got {option!r}")
    cell = get_cell(made, options)
    if digest is not None and digest != cell_digest(cell):
        raise InvalidInput(
            f"equations of cell {name!r} must be those that it was saved with. Got others: "
            "load it with the class as it was"
        )
    return cell


def _network_cell(config: Config, own: Mapping[str, type[Cell]], digest: str | None) -> Cell:
    check_fields("network", config, NETWORK, {})
    return _stack_cell(config["recurrent"], own, digest)


def _stack_expected(config: Config, cell: Cell, most: int) -> tuple[Shapes, np.dtype[Any]]:
    """Return name and shape of every parameter of a stack, and their dtype; enough of them to exceed `most`."""
    D, H = check_whole("input_size", config["input_size"]), check_whole("hidden_size", config["hidden_size"])
    layers = min(check_whole("num_layers", config["num_layers"]), most + 1)
    directions = DIRECTIONS[check_choice("direction", config["direction"], DIRECTIONS)]

    def shapes() -> Shapes:
        for k, prefix in enumerate(prefixes(layers, directions)):
            inputs = D if k < len(directions) else H * len(directions)
            for name, shape in cell_shapes(cell, inputs, H, config["bias"]):
                yield prefix + name, shape

    return shapes(), check_dtype(config["dtype"])


def _network_expected(config: Config, cell: Cell, most: int) -> tuple[Shapes, np.dtype[Any]]:
    stack = config["recurrent"]
    of_stack, dtype = _stack_expected(stack, cell, most)
    K, H = check_whole("output_size", config["output_size"]), stack["hidden_size"]
    lags = check_whole("linear_lags", config["linear_lags"], least=0)
    directions = len(DIRECTIONS[stack["direction"]])

    def shapes() -> Shapes:
        yield from of_stack
        yield "readout.W_hy", (H * directions, K)
        if config["bias"]:
            yield "readout.b_y", (K,)
        if lags:
            yield "linear.W_xy", (lags * (stack["input_size"] - (K if config["feedback"] else 0)), K)
        if config["learned_initial_state"]:
            for name in cell.plan.states:
                yield f"initial.{name}", (stack["num_layers"] * directions, H)

    return shapes(), dtype


def _build_stack(config: Config, cell: Cell) -> Recurrent:
    settings = {name: value for name, value in config.items() if name != "cell"}
    # What is overwritten at once need not be drawn.
    return Recurrent(cell, initializers=dict.fromkeys(cell.plan.weights, Constant(0.0)), **settings)


def _build_network(config: Config, cell: Cell) -> Network:
    settings = {name: value for name, value in config.items() if name != "recurrent"}
    return Network(
        _build_stack(config["recurrent"], cell),
        **{**settings, "loss": get_loss(config["loss"])},
        readout_initializer=Constant(0.0),
    )


@dataclass(frozen=True)
class Kind:
    """A class that a file may hold: its cell, the arrays that its configuration asks for, and how it is built."""

    model: type
    cell: Callable[[Config, Mapping[str, type[Cell]], str | None], Cell]
    expected: Callable[[Config, Cell, int], tuple[Shapes, np.dtype[Any]]]
    build: Callable[[Config, Cell], Model]


KINDS: dict[str, Kind] = {
    "recurrent": Kind(Recurrent, _stack_cell, _stack_expected, _build_stack),
    "network": Kind(Network, _network_cell, _network_expected, _build_network),
}
