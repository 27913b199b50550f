"""One step back, for all steps at once: what each of its maps does to the norm of a gradient.

A step back is a chain of linear maps. From the last stage to the first, the stage's formula takes the gradients of its
results to those of its pre-activations, and the transposed weights take these to the states before the step or to
results of earlier stages. What a formula passes on past the weights (the forget gate's ``f * c``) goes through the
second map unchanged. The norm of everything that is on its way is taken after each map; the logarithms of the ratios
add up to that of the step. With the gradients of all states known, no step waits for another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from bptt.cells.plan import Product, Source, StagePlan
from bptt.checks import Array
from bptt.diagnostics.norms import last_axis_norm, log_ratio
from bptt.diagnostics.unsaturated import unsaturated, unsaturated_functions
from bptt.engine.forward_mode import STEP
from bptt.engine.tape import Tape

# Numbers of one array that are worked on at once.
_BLOCK = 2_000_000


@dataclass(frozen=True, eq=False)
class StepsBack:
    """What the steps of a layer do to its gradient.

    Attributes
    ----------
    gates : dict of column ("a_i") to ndarray (T, B)
        Norm of dL/d(pre-activation) of each step.
    gates_gain, saturation, weights : ndarray (T, B)
        Natural logarithm of what the formulas at full slope, the slopes, and the weights multiply the norm by.
    before : ndarray (T, B)
        Norm of the gradient of the states before the step, without what their own outputs add.
    """

    gates: dict[str, Array]
    gates_gain: Array
    saturation: Array
    weights: Array
    before: Array


def steps_back(tape: Tape, after: Mapping[str, Array]) -> StepsBack:
    """Take dL/d(state after the step) `after`, each (T, B, H), back over every step of a tape."""
    T, B, _ = tape.x.shape
    size = max(1, _BLOCK // max(1, B * tape.states["h"].shape[2]))
    columns = [column for stage in tape.cell.plan.stages for column in stage.columns]
    gates = {column: np.zeros((T, B)) for column in columns}
    gains = np.zeros((4, T, B))
    for first in range(0, T, size):
        part = slice(first, min(T, first + size))
        steps = _Steps(tape, part)
        gradients = {name: d[part].reshape(-1, d.shape[2]) for name, d in after.items()}
        found, da = steps.back(gradients)
        gains[:, part] = found.reshape(4, -1, B)
        for column, d in da.items():
            gates[column][part] = np.linalg.norm(d, axis=1).reshape(-1, B)
    if tape.lengths is not None:
        idle = np.arange(T)[:, None] >= tape.lengths
        gains[:3, idle] = 0.0
        for each in gates.values():
            each[idle] = 0.0
    return StepsBack(gates, *gains)


class _Steps:
    """Some steps of a layer as rows of one batch, forward values recomputed."""

    def __init__(self, tape: Tape, part: slice) -> None:
        self.cell, self.parameters = tape.cell, tape.parameters
        self.H = int(tape.states["h"].shape[2])
        self.x = tape.x[part].reshape(-1, tape.x.shape[2])
        self.previous = {name: s[:-1][part].reshape(-1, self.H) for name, s in tape.states.items()}
        self.fixed = {
            **self.cell.bound_functions,
            **{k: v for k, v in self.cell.options.items() if k in self.cell.constants},
            **{name: self.parameters.get(name, np.zeros(self.H)) for name in self.cell.vectors},
        }
        self.steep = {**self.fixed, **unsaturated_functions(self.cell)}
        self.values: dict[str, Array] = {}
        self.columns: dict[str, Array] = {}
        for stage in self.cell.plan.stages:
            self.columns.update(self._columns(stage))
            found = stage.forward(*(self._read(source, self.fixed) for source in stage.inputs))
            self.values.update(zip(stage.forward.results, found, strict=True))

    def back(self, gradients: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Return the three logarithms and the norm before (4, rows), and dL/d(pre-activation) by column."""
        gains = np.zeros((3, len(self.x)))
        before: dict[str, Array] = {}
        das: dict[str, Array] = {}
        norm = self._norm(gradients.values())
        for index in range(len(self.cell.plan.stages) - 1, -1, -1):
            stage = self.cell.plan.stages[index]
            of_stage = {name: d for name, d in gradients.items() if name in stage.forward.results}
            rest = {name: d for name, d in gradients.items() if name not in stage.forward.results}
            flat = self._formula(stage, unsaturated(stage), self.steep, of_stage, rest, before)
            met = self._formula(stage, stage.forward, self.fixed, of_stage, rest, before)
            steep_norm = self._norm(_under_way(stage, *flat))
            met_norm = self._norm(_under_way(stage, *met))
            da, gradients, before = met
            das.update(da)
            for product in stage.products:
                if product.kind != "x":
                    target = before if product.kind == "previous" else gradients
                    _add(target, product.operand, self._through(stage, product, da))
            after_norm = self._norm((*gradients.values(), *before.values()))
            chain = (norm, steep_norm, met_norm, after_norm)
            for k, (then, now) in enumerate(pairwise(chain)):
                gains[k] += log_ratio(now, then)
            norm = after_norm
        return np.concatenate([gains, norm[None]]), das

    def _formula(
        self, stage: StagePlan, forward: Callable[..., tuple[Any, ...]], fixed: Mapping[str, Any],
        of_stage: Mapping[str, Array], rest: Mapping[str, Array], before: Mapping[str, Array],
    ) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:  # fmt: skip
        """Return da, and the gradients of earlier results and of old states with this formula's share added."""
        da: dict[str, Array] = {}
        earlier, old = dict(rest), dict(before)
        arguments = [self._read(source, fixed) for source in stage.inputs]
        for k, source in enumerate(stage.inputs):
            if source.kind not in ("column", "previous", "value"):
                continue
            moved = list(arguments)
            moved[k] = arguments[k] + 1j * STEP
            d = np.zeros((len(self.x), self.H))
            for name, result in zip(stage.forward.results, forward(*moved), strict=True):
                if name in of_stage and np.iscomplexobj(result):
                    d += of_stage[name] * (np.imag(result) / STEP)
            if source.kind == "column":
                da[source.key] = d
            else:
                _add(old if source.kind == "previous" else earlier, source.key, d)
        return da, earlier, old

    def _norm(self, arrays: Iterable[Array]) -> Array:
        """Return the norm (rows,) of all arrays (rows, H) together."""
        found = list(arrays)
        return last_axis_norm(np.concatenate(found, axis=1)) if found else np.zeros(len(self.x))

    def _columns(self, stage: StagePlan) -> dict[str, Array]:
        """Return the stage's pre-activations, each (rows, H)."""
        found = [np.zeros((len(self.x), self.H)) for _ in stage.columns]
        if "b_h" in self.parameters:
            for gate, column in enumerate(stage.bias_columns, start=stage.first_gate):
                found[column] += self.parameters["b_h"][gate * self.H : (gate + 1) * self.H]
        for product in stage.products:
            operand = (
                self.x
                if product.kind == "x"
                else (self.previous if product.kind == "previous" else self.values)[product.operand]
            )
            for block, column in self._blocks(product):
                found[column] += operand @ block
        return dict(zip(stage.columns, found, strict=True))

    def _through(self, stage: StagePlan, product: Product, da: Mapping[str, Array]) -> Array:
        """Return da @ W^T of one product."""
        total = np.zeros((len(self.x), self.H))
        for block, column in self._blocks(product):
            total += da[stage.columns[column]] @ block.T
        return total

    def _blocks(self, product: Product) -> Iterator[tuple[Array, int]]:
        """Yield each block of a weight with the column that it leads to."""
        weight, H = self.parameters[product.weight], self.H
        for k, column in enumerate(product.columns, start=product.first_block):
            yield weight[:, k * H : (k + 1) * H], column

    def _read(self, source: Source, fixed: Mapping[str, Any]) -> Any:
        match source.kind:
            case "column":
                return self.columns[source.key]
            case "value":
                return self.values[source.key]
            case "previous":
                return self.previous[source.key]
            case _:
                return fixed[source.key]


def _under_way(
    stage: StagePlan, da: Mapping[str, Array], earlier: Mapping[str, Array], old: Mapping[str, Array]
) -> Iterator[Array]:
    """Yield what still can reach the states before: a column that only the input leads to cannot."""
    recurrent = {stage.columns[c] for p in stage.products if p.kind != "x" for c in p.columns}
    yield from (d for column, d in da.items() if column in recurrent)
    yield from earlier.values()
    yield from old.values()


def _add(store: dict[str, Array], name: str, d: Array) -> None:
    store[name] = store[name] + d if name in store else d
