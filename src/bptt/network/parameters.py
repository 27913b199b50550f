"""Names, shapes and starting values of a stack's parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.cells.protocol import Cell
from bptt.errors import InvalidInput
from bptt.initializers import Glorot, Initializer, Orthogonal, get_initializer

Array = npt.NDArray[Any]


def prefixes(num_layers: int, directions: tuple[str, ...]) -> list[str]:
    """Return ``layers.0.``, ``layers.0.reverse.``, ... in the order of the state's first axis.

    The direction is named only where it is the second of two, as in PyTorch.
    """
    both = len(directions) == 2
    return [
        f"layers.{layer}." + ("reverse." if both and direction == "reverse" else "")
        for layer in range(num_layers)
        for direction in directions
    ]


def cell_shapes(cell: Cell, inputs: int, H: int, bias: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield bare name and shape of each parameter of one layer: weights, bias, vectors."""
    plan = cell.plan
    for name, (rows, blocks) in plan.weights.items():
        yield name, (inputs if rows == "x" else H, blocks * H)
    if bias and plan.gates:
        yield "b_h", (len(plan.gates) * H,)
    for name in plan.vectors:
        if bias or not name.startswith("b_"):
            yield name, (H,)


def choose_initializers(cell: Cell, given: Mapping[str, Initializer | str] | None) -> dict[str, Initializer]:
    """Return an initialiser for each weight: Glorot uniform for the input's, orthogonal for the others, or as given."""
    chosen: dict[str, Initializer] = {
        name: Glorot() if rows == "x" else Orthogonal() for name, (rows, _) in cell.plan.weights.items()
    }
    known = {*cell.plan.weights, *cell.plan.vectors, "b_h"}
    for name, initializer in (given or {}).items():
        if name not in known:
            raise InvalidInput(
                f"initializers must name parameters of the {cell.name} cell: {', '.join(sorted(known))}. Got {name!r}"
            )
        chosen[name] = get_initializer(initializer)
    return chosen


def start_cell(
    cell: Cell,
    inputs: int,
    H: int,
    bias: bool,
    dtype: np.dtype[Any],
    rng: np.random.Generator,
    initializers: Mapping[str, Initializer],
) -> dict[str, Array]:
    """Return starting values of one layer's parameters under their bare names.

    A weight takes the initialiser of its name; a bias is 0 but for the cell's `bias_start`, a vector what the cell
    states, unless an initialiser of that name is given.
    """
    found: dict[str, Array] = {}
    for name, shape in cell_shapes(cell, inputs, H, bias):
        if name in initializers:
            gates = shape[-1] // H
            found[name] = np.asarray(initializers[name](rng, shape, dtype, gates=gates), dtype)
        elif name == "b_h":
            found[name] = np.concatenate(
                [np.full(H, cell.bias_start.get(gate, 0.0), dtype) for gate in cell.plan.gates]
            )
        else:
            found[name] = np.full(shape, cell.vectors[name], dtype)
    return found
