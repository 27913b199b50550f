"""A cell's names resolved: which array feeds which argument. Engines read this; cells never do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from bptt.cells.declaration import Declaration, Stage
from bptt.errors import InvalidInput
from bptt.formulas import Formula

# column: a pre-activation; previous: a state before the step; value: a result of this or an earlier stage (a new
# state among them); vector, constant, function: as declared on the cell; gradient: of a result.
Kind = Literal["column", "previous", "value", "vector", "constant", "function", "gradient"]


@dataclass(frozen=True)
class Source:
    """Where a formula's argument comes from: `key` is the bare name (``"h"`` for ``h_prev`` and ``dh``)."""

    name: str
    kind: Kind
    key: str


@dataclass(frozen=True)
class Product:
    """``operand @ weight[:, block]`` for consecutive blocks, each added to one column of the stage."""

    weight: str
    operand: str  # "x", a state (before the step) or an earlier value
    kind: Literal["x", "previous", "value"]
    first_block: int  # of the weight
    columns: tuple[int, ...]  # of the stage, one a block


@dataclass(frozen=True)
class StagePlan:
    """One stage, resolved."""

    columns: tuple[str, ...]  # names of the pre-activations, e.g. ("a_r", "a_z", "a_xn", "a_hn")
    bias_columns: tuple[int, ...]  # the column that takes each gate's bias, in gate order
    first_gate: int  # of the cell: where this stage's blocks start in b_h
    products: tuple[Product, ...]
    forward: Formula
    inputs: tuple[Source, ...]
    backward: Formula | None
    backward_inputs: tuple[Source, ...]

    @property
    def differentiable(self) -> tuple[Source, ...]:
        """The forward inputs that carry a gradient, in order; `backward` returns d + name for each."""
        return tuple(s for s in self.inputs if s.kind in ("column", "previous", "value", "vector"))


@dataclass(frozen=True)
class CellPlan:
    """A whole cell, resolved."""

    states: tuple[str, ...]
    gates: tuple[str, ...]
    weights: dict[str, tuple[str, int]]  # name -> ("x" or "h": its rows, number of H-wide blocks)
    vectors: tuple[str, ...]
    stages: tuple[StagePlan, ...]
    saved: tuple[str, ...]  # columns and values that the backward sweep reads; new states are kept anyway
    digest: str


def make_plan(cell: Declaration) -> CellPlan:
    """Check a cell's declaration and resolve every name.

    Raises
    ------
    InvalidInput
        A name that means nothing, or two things; a gradient or a state that is never returned.
    """
    title = type(cell).__name__
    if not isinstance(getattr(cell, "name", None), str):
        raise InvalidInput(f"{title}.name must be a string: model files and messages use it. Got none")
    states = cell.states
    if not states or states[0] != "h":
        raise InvalidInput(f"{title}.states must start with 'h', the output. Got {states}")
    gates = cell.all_gates
    if len(set(gates)) != len(gates):
        raise InvalidInput(f"{title}.gates must all differ. Got {gates}")
    resolver = _Resolver(cell, title)
    stages = tuple(resolver.stage(stage) for stage in cell.all_stages)
    missing = [s for s in states if s not in resolver.values]
    if missing:
        raise InvalidInput(
            f"{title}: every state must be returned by a stage's forward. Got no {', '.join(missing)}"
        )
    unused = [v for v in cell.vectors if v not in resolver.used]
    if unused:
        raise InvalidInput(f"{title}.vectors must all be used in forward. Got unused {', '.join(unused)}")
    if not resolver.weights:
        raise InvalidInput(f"{title} must have at least one gate with a product, such as W_xh. Got none")
    taken = [v for v in cell.vectors if v in resolver.weights or v == "b_h"]
    if taken:
        raise InvalidInput(
            f"{title}.vectors must not use the name of a weight or of the gates' bias b_h. Got {taken[0]!r}: rename it"
        )
    digest = "-".join(f.digest[:16] for s in stages for f in (s.forward, s.backward) if f is not None)
    return CellPlan(
        states=states,
        gates=gates,
        weights=dict(resolver.weights),
        vectors=tuple(cell.vectors),
        stages=stages,
        saved=tuple(name for name in _saved(stages) if name not in states),
        digest=digest,
    )


class _Resolver:
    """Walks the stages in order and keeps what has been named so far."""

    def __init__(self, cell: Declaration, title: str) -> None:
        self.cell, self.title = cell, title
        self.functions = cell.bound_functions
        self.values: set[str] = set()
        self.used: set[str] = set()
        self.weights: dict[str, tuple[str, int]] = {}
        self.gates_seen = 0

    def stage(self, stage: type[Stage]) -> StagePlan:
        where = self.title if stage is type(self.cell) else f"{self.title}.{stage.__name__}"
        callables = frozenset(self.functions)
        if getattr(stage, "forward", None) is None:
            raise InvalidInput(f"{where} must have a forward. Got none: write it as a static method")
        forward = Formula(stage.forward, callables=callables, where=f"{where}.forward")
        columns, bias_columns, parts = self._columns(stage, forward, where)
        products = tuple(self._product(stage, weight, operand, parts, where)
                         for weight, operand in stage.products.items() if stage.gates)  # fmt: skip
        inputs = tuple(self._forward_source(name, columns, forward) for name in forward.arguments)
        self.used |= {s.name for s in inputs}
        clash = [r for r in forward.results if r in self.values]
        if clash:
            raise InvalidInput(f"{forward.where} returns {clash[0]}, which an earlier stage has returned")
        self.values |= set(forward.results)
        plan = StagePlan(
            columns=columns, bias_columns=bias_columns, first_gate=self.gates_seen, products=products,
            forward=forward, inputs=inputs, backward=None, backward_inputs=(),
        )  # fmt: skip
        self.gates_seen += len(stage.gates)
        return plan if stage.backward is None else self._with_backward(plan, stage.backward, callables, where)

    def _columns(
        self, stage: type[Stage], forward: Formula, where: str
    ) -> tuple[tuple[str, ...], tuple[int, ...], dict[str, dict[str, int]]]:
        """Name the pre-activations, and say for each gate which operand's product goes to which column."""
        columns: list[str] = []
        bias_columns: list[int] = []
        parts: dict[str, dict[str, int]] = {}
        operands = list(stage.products.values())
        for gate in stage.gates:
            apart = [f"a_{operand}{gate}" for operand in operands]
            summed = f"a_{gate}"
            if summed in forward.arguments and not set(apart) & set(forward.arguments):
                parts[gate] = dict.fromkeys(operands, len(columns))
                bias_columns.append(len(columns))
                columns.append(summed)
            elif set(apart) <= set(forward.arguments) and summed not in forward.arguments:
                parts[gate] = {operand: len(columns) + k for k, operand in enumerate(operands)}
                # The bias belongs to the input's part: PyTorch's split, and b_hn then has a meaning of its own.
                bias_columns.append(parts[gate].get("x", len(columns)))
                columns.extend(apart)
            else:
                raise InvalidInput(
                    f"{where}.forward must take gate {gate} as {summed}, or apart as {', '.join(apart)}. "
                    f"Got arguments {', '.join(forward.arguments)}"
                )
        return tuple(columns), tuple(bias_columns), parts

    def _product(
        self, stage: type[Stage], weight: str, operand: str,
        parts: dict[str, dict[str, int]], where: str,
    ) -> Product:  # fmt: skip
        kind: Literal["x", "previous", "value"]
        if operand == "x":
            kind = "x"
        elif operand in self.cell.states:
            kind = "previous"
        elif operand in self.values:
            kind = "value"
        else:
            raise InvalidInput(
                f"{where}.products[{weight!r}] must be 'x', a state or a result of an earlier stage. Got {operand!r}"
            )
        rows = "x" if kind == "x" else "h"
        known_rows, blocks = self.weights.get(weight, (rows, 0))
        if known_rows != rows:
            raise InvalidInput(
                f"{where}: weight {weight} must always multiply the input or never. Got both: use two names"
            )
        self.weights[weight] = (rows, blocks + len(stage.gates))
        return Product(weight, operand, kind, blocks, tuple(parts[gate][operand] for gate in stage.gates))

    def _forward_source(self, name: str, columns: Iterable[str], formula: Formula) -> Source:
        found = self._declared(name)
        if name in columns:
            found.append(Source(name, "column", name))
        if name.endswith("_prev") and name.removesuffix("_prev") in self.cell.states:
            found.append(Source(name, "previous", name.removesuffix("_prev")))
        if name in self.values:
            found.append(Source(name, "value", name))
        return self._only(found, name, formula)

    def _declared(self, name: str) -> list[Source]:
        found: list[Source] = []
        if name in self.cell.vectors:
            found.append(Source(name, "vector", name))
        if name in self.cell.constants:
            found.append(Source(name, "constant", name))
        if name in self.functions:
            found.append(Source(name, "function", name))
        return found

    def _only(self, found: list[Source], name: str, formula: Formula) -> Source:
        if not found:
            raise InvalidInput(
                f"{formula.where}: argument {name} must be a pre-activation, a state (h_prev), an earlier result, "
                "a vector, a constant or a function of the cell. Got none of these: "
                "declare it, return it from forward, or mend the name"
            )
        if len(found) > 1:
            kinds = " and ".join(s.kind for s in found)
            raise InvalidInput(
                f"{formula.where}: argument {name} must mean one thing. Got a {kinds}: rename one"
            )
        return found[0]

    def _with_backward(
        self, plan: StagePlan, function: Callable[..., Any], callables: frozenset[str], where: str
    ) -> StagePlan:
        backward = Formula(function, callables=callables, where=f"{where}.backward")
        sources = []
        for name in backward.arguments:
            found = []
            if name.startswith("d") and name[1:] in plan.forward.results:
                found.append(Source(name, "gradient", name[1:]))
            try:
                found.append(self._forward_source(name, plan.columns, backward))
            except InvalidInput:
                if not found:
                    raise
            sources.append(self._only(found, name, backward))
        wanted = [f"d{source.name}" for source in plan.differentiable]
        if set(wanted) != set(backward.results):
            raise InvalidInput(
                f"{backward.where} must return d + name for each array that forward takes: {', '.join(wanted)}. "
                f"Got {', '.join(backward.results)}"
            )
        return StagePlan(
            columns=plan.columns, bias_columns=plan.bias_columns, first_gate=plan.first_gate,
            products=plan.products, forward=plan.forward, inputs=plan.inputs,
            backward=backward, backward_inputs=tuple(sources),
        )  # fmt: skip


def _saved(stages: tuple[StagePlan, ...]) -> tuple[str, ...]:
    """Return the columns and values that the sweep back needs, each once, in order of first use."""
    names: dict[str, None] = {}
    for stage in stages:
        for source in stage.backward_inputs if stage.backward else stage.inputs:
            if source.kind in ("column", "value"):
                names[source.key] = None
        for product in stage.products:
            if product.kind == "value":
                names[product.operand] = None
    return tuple(names)
