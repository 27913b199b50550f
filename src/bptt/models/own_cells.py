"""Cells of the user's own: what their equations are known by, and those that are handed in to `load`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from bptt.cells import Cell
from bptt.errors import InvalidInput, InvalidType


def cell_digest(cell: Cell) -> str:
    """Return what a cell's equations are known by: the text of its formulas, and which array feeds which argument."""
    plan = cell.plan
    stages = [
        [
            [[p.weight, p.operand, p.first_block, p.columns] for p in stage.products],
            [stage.columns, stage.bias_columns],
        ]
        for stage in plan.stages
    ]
    parts = [plan.digest, plan.states, plan.gates, plan.vectors, stages]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def own_cells(cells: object) -> dict[str, type[Cell]]:
    """Return the user's cells by name."""
    if not isinstance(cells, Iterable):
        raise InvalidType(f"cells must be a sequence of Cell classes. Got {cells!r}")
    found: dict[str, type[Cell]] = {}
    for each in cells:
        if not (isinstance(each, type) and issubclass(each, Cell)):
            raise InvalidType(f"cells must hold Cell classes. Got {each!r}")
        if found.setdefault(each.name, each) is not each:
            raise InvalidInput(f"cells must have different names. Got {each.name!r} twice")
    return found
