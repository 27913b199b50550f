"""The sweep back through one layer with the gradients of different ages kept apart.

At step t the sweep of `bptt.engine.reference` carries one gradient of the state, the sum over everything downstream.
Here it carries a stack of them, one an age: how many hidden-to-hidden Jacobians it has crossed. Everything that a step
does to a gradient is linear in it, so each age goes through the same formulas and the same products, all ages of a
step in large arrays. With an output at every step that is the arithmetic of T / 2 ordinary sweeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.cells import Cell
from bptt.cells.plan import Product, Source
from bptt.diagnostics.age_sums import Sums
from bptt.diagnostics.aged import Aged, Array, Steps, Whole, places, spread, union
from bptt.engine.forward_mode import pull_back
from bptt.engine.tape import Tape

# Numbers of one array that a round of formulas and products works on: what the second cache holds of several.
_BLOCK = 24_000


def sweep_by_age(
    tape: Tape, arriving: Steps, sums: Sums, *, longest: int, want_x: bool
) -> tuple[Steps, dict[str, Aged]]:
    """Sweep back through a layer.

    Parameters
    ----------
    tape : Tape
        Of the reference engine's forward pass.
    arriving : list of Aged or None, length T
        dL/dh_t of every output, in the layer's own direction of time.
    sums : Sums
        Takes the gradients of the pre-activations and vectors, and makes those of the parameters of them.
    longest : int
        Older gradients are dropped.
    want_x : bool
        Whether dL/dx is returned.

    Returns
    -------
    dx : list of Aged or None, length T
    dstate0 : dict of state name to Aged
        With respect to the initial state; empty where nothing reaches it.
    """
    layer = _Layer(tape, sums, want_x)
    steps = len(tape.x)
    dx: Steps = [None] * steps
    ages: Whole = np.zeros(0, np.int64)
    carried: dict[str, Array] = {}
    for t in range(steps - 1, -1, -1):
        ages, carried = _entered(ages, carried, _masked(arriving[t], tape, t), layer.states)
        if not len(ages):
            continue
        carried, below = layer.step(t, ages, carried)
        if below is not None:
            dx[t] = Aged(ages, below)
        ages = ages + 1
        kept = int(np.searchsorted(-ages, -longest))
        ages, carried = ages[kept:], {name: d[kept:] for name, d in carried.items()}
    sums.finish()
    return dx, {name: Aged(ages, d) for name, d in carried.items()} if len(ages) else {}


def _masked(entry: Aged | None, tape: Tape, t: int) -> Aged | None:
    """Leave out rows that have ended: their outputs are no outputs."""
    if entry is None or tape.lengths is None:
        return entry
    return Aged(entry.ages, np.where((t < tape.lengths)[:, None], entry.values, 0.0))


def _entered(
    ages: Whole, carried: dict[str, Array], entry: Aged | None, states: tuple[str, ...]
) -> tuple[Whole, dict[str, Array]]:
    """Add what arrives at the output to what is carried."""
    if entry is None:
        return ages, carried
    if not len(ages):
        zeros = np.zeros_like(entry.values)
        return entry.ages, {name: entry.values if name == "h" else zeros for name in states}
    together = union(ages, entry.ages)
    wide = {name: spread(Aged(ages, d), together) for name, d in carried.items()}
    if wide["h"] is carried["h"]:
        wide["h"] = wide["h"].copy()
    wide["h"][places(entry.ages, together)] += entry.values
    return together, wide


class _Layer:
    """A layer's plan and weights, ready for the steps of a sweep."""

    def __init__(self, tape: Tape, sums: Sums, want_x: bool) -> None:
        cell, parameters = tape.cell, tape.parameters
        self.tape, self.sums, self.want_x = tape, sums, want_x
        self.states = cell.plan.states
        _, self.B, self.D = tape.x.shape
        self.H = tape.states["h"].shape[2]
        self.stages = cell.plan.stages
        self.fixed = _fixed(cell, parameters, self.H)
        self.weights = {
            (index, product.weight): _transposed(parameters[product.weight], product, self.H)
            for index, stage in enumerate(self.stages)
            for product in stage.products
        }

    def step(
        self, t: int, ages: Whole, carried: Mapping[str, Array]
    ) -> tuple[dict[str, Array], Array | None]:
        """Take the gradients of all ages back over step t: dL/dstate before it, and dL/dx_t where wanted."""
        n = len(ages)
        before = {name: np.zeros((n, self.B, self.H)) for name in self.states}
        below = np.zeros((n, self.B, self.D)) if self.want_x else None
        known = {name: array[t] for name, array in self.tape.saved.items()}
        known.update({name: array[t + 1] for name, array in self.tape.states.items()})
        previous = {name: array[t] for name, array in self.tape.states.items()}
        size = max(1, _BLOCK // (self.B * self.H))
        for first in range(0, n, size):
            part = slice(first, min(n, first + size))
            gradients = {name: d[part] for name, d in carried.items()}
            dprevious: dict[str, Array] = {}
            dx = None if below is None else below[part]
            for index in range(len(self.stages) - 1, -1, -1):
                da = self._formulas(index, known, previous, gradients, dprevious, ages[part])
                self._products(index, da, gradients, dprevious, dx)
                self.sums.add(index, t, ages[part], da)
            for name, d in dprevious.items():
                before[name][part] = d
        self.sums.end_step(t, ages)
        return before, below

    def _formulas(
        self, index: int, known: Mapping[str, Array], previous: Mapping[str, Array], gradients: dict[str, Array],
        dprevious: dict[str, Array], ages: Whole,
    ) -> Array:  # fmt: skip
        """Run a stage's backward; return da (n, B, columns * H) and add to the other gradients."""
        plan, H = self.stages[index], self.H
        if plan.backward is not None:
            arguments = [self._read(s, known, previous, gradients) for s in plan.backward_inputs]
            found = dict(zip(plan.backward.results, plan.backward(*arguments), strict=True))
        else:
            arguments = [self._read(s, known, previous, {}) for s in plan.inputs]
            found = pull_back(plan, arguments, gradients)
        da = np.empty((len(ages), self.B, len(plan.columns) * H))
        for source in plan.differentiable:
            d = found[f"d{source.name}"]
            if source.kind == "column":
                k = plan.columns.index(source.key)
                da[:, :, k * H : (k + 1) * H] = d
            elif source.kind == "vector":
                self.sums.add_vector(source.key, ages, np.broadcast_to(d, (len(ages), self.B, H)))
            else:
                _add(dprevious if source.kind == "previous" else gradients, source.key, d)
        return da

    def _products(
        self,
        index: int,
        da: Array,
        gradients: dict[str, Array],
        dprevious: dict[str, Array],
        dx: Array | None,
    ) -> None:
        """Add da @ W^T to the gradient of each product's operand."""
        plan, H = self.stages[index], self.H
        rows = da.reshape(-1, da.shape[2])
        for product in plan.products:
            if product.kind == "x" and dx is None:
                continue
            chosen = (
                rows if product.columns == tuple(range(len(plan.columns))) else rows[:, _wide(product, H)]
            )
            d = (chosen @ self.weights[index, product.weight]).reshape(len(da), self.B, -1)
            if product.kind == "x":
                dx += d
            else:
                _add(dprevious if product.kind == "previous" else gradients, product.operand, d)

    def _read(
        self, source: Source, known: Mapping[str, Array], previous: Mapping[str, Array], gradients: Mapping[str, Array]
    ) -> Any:  # fmt: skip
        match source.kind:
            case "column" | "value":
                return known[source.key]
            case "previous":
                return previous[source.key]
            case "gradient":
                # A result that nothing later used has no gradient.
                return gradients.get(source.key, 0.0)
            case _:
                return self.fixed[source.key]


def _fixed(cell: Cell, parameters: Mapping[str, Array], H: int) -> dict[str, Any]:
    """Return what formulas read that is the same at every step: functions, constants, vectors."""
    return {
        **cell.bound_functions,
        **{k: v for k, v in cell.options.items() if k in cell.constants},
        **{name: parameters.get(name, np.zeros(H)) for name in cell.vectors},
    }


def _transposed(weight: Array, product: Product, H: int) -> Array:
    """Return the product's columns of a packed weight as (columns * H, rows)."""
    first = product.first_block * H
    return np.ascontiguousarray(weight[:, first : first + len(product.columns) * H].T)


def _wide(product: Product, H: int) -> Whole:
    """Return the places of a product's columns in a stage's (columns * H)."""
    return (np.array(product.columns)[:, None] * H + np.arange(H)).reshape(-1)


def _add(store: dict[str, Array], name: str, d: Array) -> None:
    store[name] = store[name] + d if name in store else d
