"""Everything about a pass that depends on the cell and the sizes alone, worked out once.

A small network's step takes a few microseconds and must not wait for bookkeeping.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bptt.cells.protocol import Cell
from bptt.engine.compiled.kernels import get_kernels, lanes_of
from bptt.engine.compiled.layout import Layout, Sizes, places
from bptt.engine.compiled.machine_code import Kernel
from bptt.engine.compiled.rows_layout import RowsLayout
from bptt.engine.compiled.target import host
from bptt.engine.compiled.workspace import ALIGNMENT
from bptt.engine.tape import Array

# Rows that run through all steps together: their states should stay in the second cache beside the weights.
TILE = 64

KINDS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


@dataclass(frozen=True)
class Region:
    """Arrays that lie in one block of memory.

    Attributes
    ----------
    slots, starts : ndarray of int64
        Where the kernels look for each array's address, and how far (bytes) it lies from the block's start.
    offsets : dict of name to int
        The same in numbers.
    count : int
        Numbers in the block.
    zeroed : int
        Numbers at its front that must start at zero.
    """

    slots: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    offsets: dict[str, int]
    count: int
    zeroed: int


@dataclass(frozen=True)
class Route:
    """How a cell's passes of one size are run; `layout.name` says what the lanes are, "units" or "rows"."""

    layout: Layout
    sizes: Sizes
    dtype: np.dtype[Any]
    ragged: bool
    opening: npt.NDArray[np.int64]  # the argument array with the sizes filled in and no array given
    tape: Region
    forward: Region
    backward: Region
    parameter_slots: tuple[tuple[str, int], ...]
    kernels: dict[str, Kernel]

    @cached_property
    def grid(self) -> tuple[int, int]:
        """How an array of H units and B rows lies in memory: (B, P) with units in the lanes, (H, S) with rows."""
        sizes = self.sizes
        return (sizes.B, sizes.V * sizes.lanes) if self.layout.name == "units" else (sizes.H, sizes.S)

    def shown(self, array: Array) -> Array:
        """Return (steps, *grid) as (steps, B, H): a view without its padding."""
        if self.layout.name == "units":
            return array[..., : self.sizes.H]
        return array[..., : self.sizes.B].transpose(0, 2, 1)


@lru_cache(maxsize=512)
def find_route(
    cell: Cell,
    dtype: np.dtype[Any],
    shape: tuple[int, int, int],
    H: int,
    *,
    ragged: bool,
    states: bool,
    saved: bool,
) -> Route:
    """Work out a route; `states` and `saved` tell whether all steps of them are kept.

    Parameters
    ----------
    shape : (T, B, D)
    """
    target = host()
    T, B, D = shape
    lanes = lanes_of(KINDS[dtype], target).count
    layout = _layout(cell, choose_layout(B, H, lanes))
    # Tiles of one size, a whole number of register tiles: how work is cut depends on the problem alone.
    tall = target.heights[0] if layout.name == "units" else lanes
    tile = B if B <= TILE else -(-B // -(-B // TILE) // tall) * tall
    if layout.name == "rows":
        tile = -(-tile // lanes) * lanes
    sizes = Sizes(T, B, D, H, lanes, target.panel, max(tile, 1), states, saved)
    weights = ((name, layout.slots[f"weight:{name}"]) for name in layout.plan.weights)
    vectors = ((name, layout.slots[f"own:{name}"]) for name in layout.plan.vectors)
    return Route(
        layout=layout,
        sizes=sizes,
        dtype=dtype,
        ragged=ragged,
        opening=_opening(layout, sizes),
        tape=_region(layout, sizes, dtype, layout.tape_arrays),
        forward=_region(layout, sizes, dtype, layout.forward_arrays),
        backward=_region(layout, sizes, dtype, layout.backward_arrays, layout.zeroed_arrays),
        parameter_slots=(*weights, ("b_h", layout.slots["b_h"]), *vectors),
        kernels=get_kernels(layout, KINDS[dtype], ragged=ragged),
    )


def choose_layout(B: int, H: int, lanes: int) -> Literal["units", "rows"]:
    """Return what the lanes of a vector are: what leaves fewer of them idle.

    Both layouts spend their time on padded arrays, B rows of P >= H units or H lines of S >= B rows, and measured
    times follow these sizes alone: for H from 4 to 128 and B from 1 to 1024 their ratio was within a tenth of the
    ratio of the padded sizes, for Elman and LSTM alike. Only with one or two rows are both so short that the units'
    fewer instructions win earlier. Where it is a draw units are ahead by up to a tenth: their products read weights
    in order.
    """
    rows, units = H * -(-B // lanes) * lanes, B * -(-H // lanes) * lanes
    return "rows" if 10 * rows < 9 * units else "units"


@lru_cache(maxsize=256)
def _layout(cell: Cell, name: str) -> Layout:
    return {"units": Layout, "rows": RowsLayout}[name].of(cell)


def _region(
    layout: Layout, sizes: Sizes, dtype: np.dtype[Any], arrays: tuple[str, ...], zeroed: tuple[str, ...] = ()
) -> Region:
    offsets, count = places(layout, (*zeroed, *arrays), sizes, ALIGNMENT // dtype.itemsize)
    return Region(
        slots=np.array([layout.slots[name] for name in offsets], np.int64),
        starts=np.array(list(offsets.values()), np.int64) * dtype.itemsize,
        offsets=offsets,
        count=count,
        zeroed=offsets[arrays[0]] if zeroed else 0,
    )


def _opening(layout: Layout, sizes: Sizes) -> npt.NDArray[np.int64]:
    arguments = np.zeros(len(layout.slots), np.int64)
    values = {
        "first_row": 0, "end_row": sizes.B,
        "T": sizes.T, "B": sizes.B, "D": sizes.D, "H": sizes.H,
        "V": sizes.V, "P": sizes.V * sizes.lanes, "VX": sizes.VX, "PX": sizes.VX * sizes.lanes,
        "S": sizes.S, "dh_h": 1, "tile": sizes.tile, "ring": -1 if sizes.all_states else 1, "keep": int(sizes.all_saved),
    }  # fmt: skip
    for name, value in values.items():
        arguments[layout.slots[name]] = value
    return arguments
