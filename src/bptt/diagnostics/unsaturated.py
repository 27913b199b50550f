"""Activations with their largest slope everywhere: what a formula would pass back if none of them were saturated."""

from __future__ import annotations

from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

import numpy as np

from bptt.activations import FUNCTIONS
from bptt.cells import Cell
from bptt.cells.plan import StagePlan

# The largest slope of each function that has one; the others (exp, log, sqrt, step) do not saturate.
LARGEST_SLOPE = {"tanh": 1.0, "sigmoid": 0.25, "relu": 1.0, "softplus": 1.0, "spike": 1.0}

Step = Callable[..., tuple[Any, ...]]


def unsaturated(stage: StagePlan) -> Step:
    """Return a stage's forward with every activation's slope at its largest; values are those of the formula.

    It is meant for the complex step: the imaginary part is multiplied by the largest slope, not by the one at hand.
    """
    original = stage.forward.function
    code, cells = original.__code__, original.__closure__ or ()
    closure = tuple(
        CellType(_REPLACED.get(name, cell.cell_contents) if name in stage.forward.called else cell.cell_contents)
        for name, cell in zip(code.co_freevars, cells, strict=True)
    )  # fmt: skip
    replaced = {name: _REPLACED[name] for name in stage.forward.called if name in _REPLACED}
    function = FunctionType(code, {**original.__globals__, **replaced}, original.__name__, None, closure)

    def run(*values: Any) -> tuple[Any, ...]:
        found = function(*values)
        return found if isinstance(found, tuple) else (found,)

    return run


def unsaturated_functions(cell: Cell) -> dict[str, Callable[..., Any]]:
    """Return the functions that the cell's formulas receive as arguments, with their largest slope."""
    found = dict(cell.bound_functions)
    found.update({key: _REPLACED.get(cell.options[key], found[key]) for key in cell.functions})
    return found


def _with_slope(function: Callable[..., Any], slope: float) -> Callable[..., Any]:
    def replaced(a: Any) -> Any:
        value = function(np.real(a))
        return value + 1j * (slope * np.imag(a)) if np.iscomplexobj(a) else value

    return replaced


_REPLACED = {name: _with_slope(FUNCTIONS[name], slope) for name, slope in LARGEST_SLOPE.items()}
