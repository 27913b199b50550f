"""What a PyTorch module, or its arrays, say about itself: kind, sizes, layers, directions, bias."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.errors import InvalidInput, InvalidType

NAME = re.compile(r"(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)(?:_l(\d+))?(_reverse)?")
# Rows of weight_hh a unit: how the kind is told from the arrays alone.
KINDS = {1: "elman", 3: "gru", 4: "lstm"}


class ModuleShape:
    """What the names and shapes of a recurrent module's arrays say about it."""

    def __init__(
        self, inputs: int, hidden: int, gates: int, layers: int, both: bool, bias: bool, cell_module: bool
    ):
        self.inputs, self.hidden, self.layers, self.both, self.bias = inputs, hidden, layers, both, bias
        self.cell = KINDS[gates]
        self.gates = gates
        self.cell_module = cell_module

    @classmethod
    def read(cls, arrays: Mapping[str, Array], where: str) -> ModuleShape:
        """Read the kind, the sizes, the layers and the directions."""
        at = f"recurrent={where!r}" if where else "source"
        matched = {name: match for name in arrays if (match := NAME.fullmatch(name))}
        if "weight_hr" in {match[1] for match in matched.values()}:
            raise InvalidInput(
                f"{at} must have no projection (proj_size): our cells have none. Got weight_hr"
            )
        cell_module = "weight_hh" in matched
        first = "" if cell_module else "_l0"
        for name in ("weight_ih" + first, "weight_hh" + first):
            if name not in arrays or arrays[name].ndim != 2:
                inner = sorted(
                    {
                        key.rpartition(".")[0]
                        for key in arrays
                        if NAME.fullmatch(key.rpartition(".")[2]) and "." in key
                    }
                )
                remedy = f": say recurrent={inner[0]!r}" if inner and not where else ""
                raise InvalidInput(
                    f"{at} must hold a matrix {name}. Got {', '.join(list(arrays)[:6]) or 'nothing'}{remedy}"
                )
        rows, H = arrays["weight_hh" + first].shape
        if not H or rows % H or rows // H not in KINDS:
            raise InvalidInput(
                f"{at}: weight_hh{first} must have shape (G H, H) with G = 1, 3 or 4 gates. Got {(rows, H)}"
            )
        numbers = {int(match[2] or 0) for match in matched.values()}
        layers = len(numbers)
        if numbers != set(range(layers)):
            raise InvalidInput(
                f"{at}: layers must be numbered 0 to {layers - 1}. Got {', '.join(map(str, sorted(numbers)))}"
            )
        both = any(match[3] for match in matched.values())
        bias = any(match[1].startswith("bias") for match in matched.values())
        return cls(arrays["weight_ih" + first].shape[1], H, rows // H, layers, both, bias, cell_module)

    def plain(self, name: str) -> str:
        """Return the name with its layer: a cell module has none."""
        return f"{name}_l0" if self.cell_module else name

    def check(self, arrays: Mapping[str, Array], wanted: list[str]) -> None:
        """Raise unless every array is there, in its shape, and no other."""
        given = {self.plain(name): array for name, array in arrays.items()}
        for name in (*wanted, *given):
            if name not in given or name not in wanted:
                rule = (
                    "be there"
                    if name in wanted
                    else f"be left out of a {self.cell} of {self.layers} layer(s)"
                )
                raise InvalidInput(f"source: {name} must {rule}. Got {', '.join(given)}")
        G_H = self.gates * self.hidden
        for name in wanted:
            match = NAME.fullmatch(name)
            assert match is not None
            below = self.inputs if int(match[2]) == 0 else self.hidden * (2 if self.both else 1)
            shapes = {"weight_ih": (G_H, below), "weight_hh": (G_H, self.hidden)}
            shape = shapes.get(match[1], (G_H,))
            if given[name].shape != shape:
                raise InvalidInput(f"source: {name} must have shape {shape}. Got {given[name].shape}")


def open_source(source: Any) -> tuple[Any, dict[str, Array]]:
    """Return the module, where it is one, and its arrays by name."""
    module = None
    if not isinstance(source, Mapping):
        if not callable(getattr(source, "state_dict", None)):
            raise InvalidType(
                f"source must be a PyTorch module or a mapping of names to arrays. Got {type(source).__name__}"
            )
        module, source = source, source.state_dict()
    return module, {str(name): _array(str(name), value) for name, value in source.items()}


def _array(name: str, value: Any) -> Array:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # which NumPy does not have
            value = value.float()
        value = value.numpy()
    array: Array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise InvalidType(f"source: {name} must hold real numbers. Got dtype {array.dtype}")
    return array
