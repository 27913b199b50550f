"""What a sweep by age adds up: parameter gradients apart by age, or the sum over all ages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bptt.cells.plan import Product, StagePlan
from bptt.diagnostics.aged import Array, Whole
from bptt.engine.tape import Tape

# Rows (steps times batch) that a product of a weight's gradient runs over, where memory allows: enough for BLAS.
_ROWS = 128
# Bytes that the gathered steps of a layer may take.
_HELD = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Target:
    """Columns of a parameter, and what they are summed from: ``operand^T @ da[..., source]``."""

    name: str
    operand: Array  # (T, B, rows)
    columns: slice  # of the parameter
    source: slice  # of the stage's (columns * H)


class Sums(ABC):
    """Takes da (n, B, columns * H) of each stage at each step, and makes parameter gradients of them.

    Attributes
    ----------
    parts : dict of parameter name to ndarray (ages, *shape of the parameter)
        Complete after `finish`.
    """

    def __init__(self, tape: Tape, ages: int) -> None:
        self.H = int(tape.states["h"].shape[2])
        self.steps, self.batch, _ = tape.x.shape
        self.parts = {name: np.zeros((ages, *np.shape(p))) for name, p in tape.parameters.items()}
        self.stages = tape.cell.plan.stages
        self.targets = [_targets(tape, stage, self.H) for stage in self.stages]

    @abstractmethod
    def add(self, index: int, t: int, ages: Whole, da: Array) -> None:
        """Take da of stage `index` at step t, of some of the step's ages."""

    @abstractmethod
    def add_vector(self, name: str, ages: Whole, d: Array) -> None:
        """Take d (n, B, H) of a vector parameter."""

    @abstractmethod
    def end_step(self, t: int, ages: Whole) -> None:
        """Learn that step t is complete, and all the ages that it had."""

    @abstractmethod
    def finish(self) -> None:
        """Bring `parts` up to date."""

    def _width(self, stage: StagePlan) -> int:
        return len(stage.columns) * self.H


class SumsByAge(Sums):
    """Keeps every age apart. Several steps are gathered, so that the products over (steps, batch) are large."""

    def __init__(self, tape: Tape, ages: int) -> None:
        super().__init__(tape, ages)
        width = sum(self._width(stage) for stage in self.stages)
        fitting = max(1, _HELD // max(1, 8 * ages * self.batch * width))
        self.slots = min(self.steps, fitting, max(1, -(-_ROWS // self.batch)))
        self.held = [np.empty((ages, self.slots, self.batch, self._width(stage))) for stage in self.stages]
        self.filled: list[tuple[int, Whole]] = []

    def add(self, index: int, t: int, ages: Whole, da: Array) -> None:  # noqa: ARG002  # the slot knows the step
        """Keep da in the slot of the current step."""
        self.held[index][ages, len(self.filled)] = da

    def add_vector(self, name: str, ages: Whole, d: Array) -> None:
        """Add to each age's part."""
        if name in self.parts:
            self.parts[name][ages] += d.sum(axis=1)

    def end_step(self, t: int, ages: Whole) -> None:
        """Go on to the next slot; when all are filled, multiply out."""
        self.filled.append((t, ages))
        if len(self.filled) == self.slots:
            self.finish()

    def finish(self) -> None:
        """Multiply out what the slots hold, and empty them."""
        if not self.filled:
            return
        alive = np.unique(np.concatenate([ages for _, ages in self.filled]))
        for slot, (_, ages) in enumerate(self.filled):
            absent = np.setdiff1d(alive, ages, assume_unique=True)
            for held in self.held:
                held[absent, slot] = 0.0
        steps = [t for t, _ in self.filled]
        rows = len(steps) * self.batch
        for targets, held in zip(self.targets, self.held, strict=True):
            gathered = [target.operand[steps].reshape(rows, -1).T for target in targets]
            for age in alive:
                da = held[age, : len(steps)].reshape(rows, -1)
                for target, operand in zip(targets, gathered, strict=True):
                    part = self.parts[target.name][age]
                    part[..., target.columns] += (operand @ da[:, target.source]).reshape(
                        *part.shape[:-1], -1
                    )
        self.filled = []


class TotalSums(Sums):
    """Adds all ages up: one entry, and the cost of an ordinary gradient of the weights."""

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape, 1)
        shape = (self.steps, self.batch)
        self.held = [np.zeros((*shape, self._width(stage))) for stage in self.stages]

    def add(self, index: int, t: int, ages: Whole, da: Array) -> None:  # noqa: ARG002  # all ages alike
        """Add all ages to the step's sum."""
        self.held[index][t] += da.sum(axis=0)

    def add_vector(self, name: str, ages: Whole, d: Array) -> None:  # noqa: ARG002  # all ages alike
        """Add all ages up."""
        if name in self.parts:
            self.parts[name][0] += d.sum(axis=(0, 1))

    def end_step(self, t: int, ages: Whole) -> None:
        """Every step has its place."""

    def finish(self) -> None:
        """Multiply out, all steps at once."""
        rows = self.steps * self.batch
        for targets, held in zip(self.targets, self.held, strict=True):
            da = held.reshape(rows, -1)
            for target in targets:
                part = self.parts[target.name][0]
                found = target.operand.reshape(rows, -1).T @ da[:, target.source]
                part[..., target.columns] = found.reshape(*part.shape[:-1], -1)


def _targets(tape: Tape, stage: StagePlan, H: int) -> list[Target]:
    found = []
    for product in stage.products:
        pairs = enumerate(product.columns, start=product.first_block)
        found += [Target(product.weight, _operand(tape, product), *run) for run in _runs(pairs, H)]
    if "b_h" in tape.parameters:
        ones = np.ones((*tape.x.shape[:2], 1))
        pairs = enumerate(stage.bias_columns, start=stage.first_gate)
        found += [Target("b_h", ones, *run) for run in _runs(pairs, H)]
    return found


def _runs(pairs: Iterable[tuple[int, int]], H: int) -> list[tuple[slice, slice]]:
    """Join blocks (of the parameter, of the stage) that follow each other on both sides."""
    runs: list[list[int]] = []
    for block, column in pairs:
        if runs and (block, column) == (runs[-1][0] + runs[-1][2], runs[-1][1] + runs[-1][2]):
            runs[-1][2] += 1
        else:
            runs.append([block, column, 1])
    return [(slice(b * H, (b + n) * H), slice(c * H, (c + n) * H)) for b, c, n in runs]


def _operand(tape: Tape, product: Product) -> Array:
    """Return what a product multiplied at every step, (T, B, rows)."""
    if product.kind == "x":
        return tape.x
    if product.kind == "previous":
        return tape.states[product.operand][:-1]
    # A value of an earlier stage is saved by itself, unless it is a new state.
    return tape.saved[product.operand] if product.operand in tape.saved else tape.states[product.operand][1:]
