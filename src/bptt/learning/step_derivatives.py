"""One step of a layer, differentiated: how its new states move with its old ones, its input and its pre-activations.

A formula is elementwise, so its slopes are one number a unit. Only products mix units. What reaches the new states
unit by unit is therefore kept apart from what reaches them across units: most cells have one stage, whose
pre-activations touch their own unit alone, and that is what makes real-time recurrent learning bearable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.cells.plan import Product, Source, StagePlan
from bptt.checks import Array
from bptt.engine.forward_mode import pull_back
from bptt.engine.tape import Tape


@dataclass(frozen=True)
class Touch:
    """Derivative of the new states, S of them with H units each, with respect to some quantity.

    Attributes
    ----------
    local : ndarray (B, S, ..., H) or None
        Of each unit with respect to the same unit's quantity.
    across : ndarray (B, S, H, ..., rows) or None
        Of each unit (the first H) with respect to every entry. The whole derivative is the sum of both.
    """

    local: Array | None = None
    across: Array | None = None

    def __add__(self, other: Touch) -> Touch:
        return Touch(_sum(self.local, other.local), _sum(self.across, other.across))

    def dense(self, size: int, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Array:
        """Return the whole derivative (B, S, H, size)."""
        found = np.zeros((*shape, size), dtype) if self.across is None else self.across.copy()
        if self.local is not None:
            np.einsum("bsuu->bsu", found)[...] += self.local
        return found

    def unit_by_unit(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Array:
        """Return what each unit has of its own quantity (B, S, H), the rest left out."""
        found = np.zeros(shape, dtype) if self.local is None else self.local.copy()
        if self.across is not None:
            found += np.einsum("bsuu->bsu", self.across)
        return found


class StepDerivatives:
    """The derivatives of one step.

    Parameters
    ----------
    tape : Tape
        Of the reference engine, over one step, T = 1.

    Attributes
    ----------
    previous : dict of state name to Touch
        With respect to the states before the step.
    x : Touch
        With respect to the input, `across` (B, S, H, D).
    columns : list of Touch
        One a stage, with respect to its C pre-activations: `local` (B, S, C, H), `across` (B, S, H, C, H).
    vectors : dict of str to Touch
        With respect to the vector parameters, taken as one vector a row.
    """

    def __init__(self, tape: Tape) -> None:
        plan = tape.cell.plan
        _, B, H = next(iter(tape.states.values())).shape
        self.shape = (B, len(plan.states), H)
        self.dtype = tape.states["h"].dtype
        self.parameters = tape.parameters
        self.known = {name: array[0] for name, array in tape.saved.items()}
        self.known.update({name: array[1] for name, array in tape.states.items()})
        self.old = {name: array[0] for name, array in tape.states.items()}
        self.fixed = {
            **tape.cell.bound_functions,
            **{k: v for k, v in tape.cell.options.items() if k in tape.cell.constants},
            **{name: tape.parameters.get(name, np.zeros(H, self.dtype)) for name in tape.cell.vectors},
        }
        self.previous: dict[str, Touch] = {name: Touch() for name in plan.states}
        self.vectors: dict[str, Touch] = {name: Touch() for name in plan.vectors}
        self.x = Touch()
        self.columns: list[Touch] = []
        values = {name: Touch(self._unit(k)) for k, name in enumerate(plan.states)}
        for stage in reversed(plan.stages):
            column = self._formula(stage, values)
            self.columns.insert(0, column)
            for product in stage.products:
                touched = Touch(across=self._through(product, column))
                if product.kind == "x":
                    self.x += touched
                else:
                    store = self.previous if product.kind == "previous" else values
                    store[product.operand] = store.get(product.operand, Touch()) + touched

    def state_jacobian(self) -> Array:
        """Return d(new states) / d(old states), (B, n, n) with n = S H."""
        B, S, H = self.shape
        found = np.empty((B, S, H, S, H), self.dtype)
        for k, touch in enumerate(self.previous.values()):
            found[:, :, :, k] = touch.dense(H, self.shape, self.dtype)
        return found.reshape(B, S * H, S * H)

    def own_jacobian(self) -> Array:
        """Return the part of each unit that depends on its own old states, (B, S, S, H)."""
        return np.stack([t.unit_by_unit(self.shape, self.dtype) for t in self.previous.values()], axis=2)

    def input_jacobian(self, size: int) -> Array:
        """Return d(new states) / dx, (B, n, D)."""
        B, S, H = self.shape
        found: Array = self.x.dense(size, self.shape, self.dtype).reshape(B, S * H, size)
        return found

    def operand(self, product: Product, x: Array) -> Array:
        """Return what a product multiplied, (B, rows)."""
        if product.kind == "x":
            return x
        found: Array = (self.old if product.kind == "previous" else self.known)[product.operand]
        return found

    def _unit(self, k: int) -> Array:
        found = np.zeros(self.shape, self.dtype)
        found[:, k] = 1
        return found

    def _formula(self, stage: StagePlan, values: dict[str, Touch]) -> Touch:
        """Go back through a stage's formula; return the touch of its pre-activations, add the others."""
        B, S, H = self.shape
        C = len(stage.columns)
        live = [name for name in stage.forward.results if name in values]
        local = np.zeros((B, S, C, H), self.dtype)
        across: Array | None = None
        if any(values[name].across is not None for name in live):
            across = np.zeros((B, S, H, C, H), self.dtype)
        for source, slopes in self._slopes(stage, live).items():
            touch = Touch()
            for name, slope in zip(live, slopes, strict=True):
                touch += _scaled(values[name], slope)
            if source.kind == "column":
                k = stage.columns.index(source.key)
                if touch.local is not None:
                    local[:, :, k] = touch.local
                if touch.across is not None:
                    assert across is not None
                    across[:, :, :, k] = touch.across
            else:
                store = {"vector": self.vectors, "previous": self.previous, "value": values}[source.kind]
                store[source.key] = store.get(source.key, Touch()) + touch
        return Touch(local, across)

    def _slopes(self, stage: StagePlan, live: list[str]) -> dict[Source, Array]:
        """Return d(result) / d(argument) for each live result and differentiable argument, (R, B, H)."""
        shape = (len(live), self.shape[0], self.shape[2])
        each = np.eye(len(live), dtype=self.dtype)[:, :, None, None]
        gradients = {name: each[k] for k, name in enumerate(live)}
        if stage.backward is None:
            found = pull_back(stage, [self._read(s, {}) for s in stage.inputs], gradients)
        else:
            arguments = [self._read(s, gradients) for s in stage.backward_inputs]
            found = dict(zip(stage.backward.results, stage.backward(*arguments), strict=True))
        return {s: np.broadcast_to(found[f"d{s.name}"], shape) for s in stage.differentiable}

    def _read(self, source: Source, gradients: Mapping[str, Array]) -> Any:
        match source.kind:
            case "column" | "value":
                return self.known[source.key]
            case "previous":
                return self.old[source.key]
            case "gradient":
                return gradients.get(source.key, 0.0)
            case _:
                return self.fixed[source.key]

    def _through(self, product: Product, column: Touch) -> Array:
        """Return the derivative with respect to a product's operand, (B, S, H, rows)."""
        B, S, H = self.shape
        first, C = product.first_block * H, len(product.columns)
        weight = self.parameters[product.weight][:, first : first + C * H].reshape(-1, C, H)
        chosen = list(product.columns)
        assert column.local is not None
        # Per unit a small product over the gates: the pre-activations of unit u read column u of each block.
        apart = column.local[:, :, chosen].reshape(B * S, C, H).transpose(2, 0, 1)
        found = np.matmul(apart, weight.transpose(2, 1, 0))
        total = np.ascontiguousarray(found.transpose(1, 0, 2)).reshape(B, S, H, -1)
        if column.across is not None:
            wide = column.across[:, :, :, chosen].reshape(B * S * H, C * H)
            total += (wide @ weight.reshape(-1, C * H).T).reshape(total.shape)
        return total


def _scaled(touch: Touch, slope: Array) -> Touch:
    """Multiply by a slope (B, H) of each unit's quantity."""
    return Touch(
        None if touch.local is None else touch.local * slope[:, None],
        None if touch.across is None else touch.across * slope[:, None, None],
    )


def _sum(one: Array | None, other: Array | None) -> Array | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
