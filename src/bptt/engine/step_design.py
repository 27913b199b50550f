"""What an engine must be told to run a network's whole training step: plain settings, arrays and formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.cells.protocol import Cell
from bptt.engine.tape import Array
from bptt.formulas import Formula
from bptt.losses import Loss

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StepDesign:
    """A stack that runs forward in time, its readout and its loss.

    Attributes
    ----------
    prefixes : tuple of str
        Of each layer's parameters: ``layers.0.``, ...
    every : bool
        Whether every step is read out, or the last one only.
    activation : str
        Of the output.
    change_of : tuple of int or None
        Columns of x whose change is predicted, times `change_scale`.
    linear_lags : int
        Newest rows that the linear path sees.
    """

    cell: Cell
    prefixes: tuple[str, ...]
    input_size: int
    hidden_size: int
    output_size: int
    every: bool
    loss: Loss
    activation: str
    change_of: tuple[int, ...] | None
    change_scale: float
    linear_lags: int
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows of arrays that examples are picked up from, by index.

    Attributes
    ----------
    x : ndarray (N, D)
        Example i reads `length` rows from row ``x_starts[i]`` on.
    y : ndarray (M, K), or integer (M,)
        Its targets, one beside each output: `y_length` rows from row ``y_starts[i]`` on.
    weights : ndarray (length,) or None
        Of the steps, the same for every example.
    weights_of : callable, optional
        Where examples differ: takes indices (B,), returns the weights of a batch, (B,) or (B, length). Steps at 0 in
        `weights` then count in no example.
    """

    x: Array
    x_starts: Whole
    length: int
    y: Array
    y_starts: Whole
    y_length: int
    weights: Array | None
    weights_of: Callable[[Whole], Array] | None = None


@dataclass(frozen=True, eq=False)
class UpdateRule:
    """How gradients become updates.

    Attributes
    ----------
    formula : Formula
        ``(p, g, *slots, *constants) -> (p, *slots)``.
    slots : tuple of str
    groups : tuple of tuple of str
        Parameters whose constants are the same.
    shrink, limit : Formula or None
        ``(g, largest, factor)`` for a norm of at most `bound`, ``(g, limit)`` for entries within it.
    lanes, safe : int and (float, float)
        See `bptt.optim.norms`.
    penalties : tuple of (Formula, float, tuple of str)
        ``(p, strength) -> (value, dp)``: dp is added to the gradients of the parameters named, before the norm.
    """

    formula: Formula
    slots: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    shrink: Formula | None
    limit: Formula | None
    bound: float
    lanes: int
    safe: tuple[float, float]
    penalties: tuple[tuple[Formula, float, tuple[str, ...]], ...] = ()
