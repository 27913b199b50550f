"""What a forward pass keeps for the sweep back, and what the sweep returns: the same records for every engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.cells.protocol import Cell

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Tape:
    """The record of one pass over one layer in one direction.

    Attributes
    ----------
    x : (T, B, D)
        The input, zero past each row's length.
    states : name -> (T+1, B, H)
        ``states["h"][0]`` is the initial state, ``[t + 1]`` follows ``x[t]``; a finished row carries its last state on.
    saved : name -> (T, B, H)
        The pre-activations and intermediate values that the cell's backward reads.
    lengths : (B,) or None
        None: every row has T steps.
    """

    cell: Cell
    parameters: Mapping[str, Array]
    x: Array
    lengths: npt.NDArray[np.int64] | None
    states: Mapping[str, Array]
    saved: Mapping[str, Array]


@dataclass(frozen=True)
class Sweep:
    """Gradients of one pass. Entries that were not wanted are None.

    Attributes
    ----------
    parameters : name -> same shape as the parameter
    x : (T, B, D)
    state0 : name -> (B, H)
    states : name -> (T+1, B, H)
        dL/dstate after each step, everything downstream included.
    """

    parameters: dict[str, Array] | None
    x: Array | None
    state0: dict[str, Array] | None
    states: dict[str, Array] | None


WANT = frozenset({"parameters", "x", "state0"})
