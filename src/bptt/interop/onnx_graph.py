"""An ONNX graph while it is put together: nodes and constants by name, without the library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bptt.checks import Array

# "To the end", where a slice must name one.
END = 2**62


@dataclass(frozen=True)
class Node:
    """One operator: its inputs and outputs by name. An attribute may be a `Graph`, the body of a loop."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Value:
    """An input or output: its name and its shape, in which text is a size that is known when it runs."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"


@dataclass
class Graph:
    """Nodes in order. A body sees the names of the graph around it, and keeps its constants there."""

    around: Graph | None = None
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    count: int = 0

    @property
    def root(self) -> Graph:
        """The outermost graph."""
        return self if self.around is None else self.around.root

    def name(self, kind: str) -> str:
        """Return a name that stands nowhere else."""
        self.root.count += 1
        return f"{kind}_{self.root.count}"

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator of one output, and return its name."""
        return self.add_many(op, 1, *inputs, **attributes)[0]

    def add_many(self, op: str, outputs: int, *inputs: str, **attributes: Any) -> tuple[str, ...]:
        """Add an operator, and return the names of its outputs."""
        names = tuple(self.name(op.lower()) for _ in range(outputs))
        self.nodes.append(Node(op, inputs, names, attributes))
        return names

    def number(self, value: Any) -> str:
        """Return the name of a constant in float32."""
        return self._constant(np.asarray(value, np.float32))

    def double(self, value: Any) -> str:
        """Return the name of a constant in float64."""
        return self._constant(np.asarray(value, np.float64))

    def whole(self, *values: int) -> str:
        """Return the name of a vector of whole numbers."""
        return self._constant(np.array(values, np.int64))

    def index(self, *values: int) -> str:
        """Return the name of an index: one number without an axis, or a vector."""
        return self._constant(np.array(values[0] if len(values) == 1 else values, np.int64))

    def take(self, array: str, begin: int, end: int, axis: int) -> str:
        """Return part of an array along one axis."""
        return self.add("Slice", array, self.whole(begin), self.whole(end), self.whole(axis))

    def give(self, name: str, array: str, shape: tuple[int | str, ...], dtype: str = "float32") -> None:
        """Let an array be an output, called `name`."""
        self.nodes.append(Node("Identity", (array,), (name,), {}))
        self.outputs.append(Value(name, shape, dtype))

    def want(self, name: str, shape: tuple[int | str, ...], dtype: str = "float32") -> str:
        """Ask for an input."""
        self.inputs.append(Value(name, shape, dtype))
        return name

    def _constant(self, array: Array) -> str:
        known = self.root.constants
        if array.size == 1:  # the same few stand in many formulas
            for name, other in known.items():
                if other.dtype == array.dtype and other.shape == array.shape and other == array:
                    return name
        name = self.name("constant")
        known[name] = array
        return name
