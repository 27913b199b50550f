"""Everything about a pass that depends on the cell and the sizes alone, worked out once.

A small network's step takes a few microseconds and must not wait for bookkeeping.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bptt.cached import cached_property
from bptt.cells.protocol import Cell
from bptt.engine.compiled.chunks import choose_chunk
from bptt.engine.compiled.kernels import get_kernels, lanes_of
from bptt.engine.compiled.llvm.machine_code import Kernel
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.rows import gradients as rows_gradients
from bptt.engine.compiled.rows.fused import fits
from bptt.engine.compiled.rows.layout import RowsLayout
from bptt.engine.compiled.units import gradients as units_gradients
from bptt.engine.compiled.units.layout import Layout, Sizes
from bptt.engine.compiled.workspace import places
from bptt.engine.tape import Array

# Rows that run through all steps together: their states should stay in the second cache beside the weights.
TILE = 64
# The same where there is enough work for several threads; and with sequences in the lanes, whose longer tiles are read
# in longer stretches.
SHARED_TILE, SHARED_ROWS = 32, 64
# Rows, of several tiles, that one thread takes through a step together: a weight is then read less often, and what
# comes out is the same. With sequences in the lanes, as many as have pre-activations of so many bytes.
TOGETHER, TOGETHER_BYTES = 64, 2**14
# So many at least, that four threads have something to do.
LEAST_TILES = 4
# Arithmetic worth sharing, in operations for each lane of the machine: about 150 microseconds of one core.
WORTH = 1_500_000
# Bytes of recurrent weights from which on threads share each step of a few rows; vectors that one takes at least.
LARGE, FEWEST = 2**19, 4
# Vector operations that a column's elementwise kernel takes, roughly.
ELEMENTWISE = 30

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
class Split:
    """How a kernel's work can be cut.

    Attributes
    ----------
    slot : int
        Where it reads its range's first number; its end is in the slot after that.
    step, end : int
        The smallest piece, and the end of the last.
    pieces : int
        How many threads can have some; 1 also where there is too little work to be worth a second one.
    """

    slot: int
    step: int
    end: int
    pieces: int


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
    forward_own: Region  # what a second thread needs for itself
    backward_own: Region
    splits: dict[str, Split]
    blocks: int  # of units that threads may share each step; 1 where they share rows, or nothing

    @property
    def chunks(self) -> int:
        """Pieces of all steps in which the sweep back and the weight gradients take turns."""
        return -(-self.sizes.T // self.sizes.chunk)

    def going_back(self, *, parameters: bool, x: bool) -> tuple[str, ...]:
        """Return the kernels of a sweep back, packed weights and what arrives at the last step presupposed.

        Where there are several chunks it depends on the arrays given what one kernel forms.
        """
        collect = ("collect",) if parameters else ()
        if self.chunks > 1:
            return ("backward_chunks", *collect)
        weights = ("weight_gradients",) if parameters else ()
        return ("backward_rows", *weights, *collect, *(("input_gradient",) if x else ()))

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
    by_rows = layout.name == "rows"
    tall = lanes if by_rows else target.heights[0]
    work = (
        _work(layout, (T, -(-B // lanes) * lanes, D), H)
        if by_rows
        else _work(layout, shape, -(-H // lanes) * lanes)
    )
    worth = {kernel: operations >= WORTH * lanes for kernel, operations in work.items()}
    # Tiles of one size, a whole number of register tiles: how work is cut depends on the problem alone.
    tiles = -(-B // TILE)
    if worth["forward_rows"]:
        tiles = max(-(-B // (SHARED_ROWS if by_rows else SHARED_TILE)), min(LEAST_TILES, -(-B // tall)))
    tile = B if tiles <= 1 and not by_rows else -(-B // max(tiles, 1) // tall) * tall
    tile = max(tile, 1)
    lines = H * sum(len(stage.columns) for stage in layout.plan.stages)
    most = min(2 * TOGETHER, TOGETHER_BYTES // (lines * dtype.itemsize)) if by_rows else TOGETHER
    together = tile * max(1, min(most // tile, -(-B // tile)))
    sizes = Sizes(T, B, D, H, lanes, tile, states, saved, chunk=T, together=together)
    blocks = _blocks(layout, sizes, dtype, tall) if worth["forward_rows"] else 1
    if blocks == 1 and tiles == 1:  # then most of the work cannot be shared, and threads would mostly wait
        worth = dict.fromkeys(worth, False)
    if blocks == 1:
        sizes = replace(sizes, chunk=choose_chunk(layout, sizes, dtype.itemsize))
    splits = _splits(layout, sizes, tall, worth)
    weights = ((name, layout.slots[f"weight:{name}"]) for name in layout.plan.weights)
    vectors = ((name, layout.slots[f"own:{name}"]) for name in layout.plan.vectors)
    return Route(
        layout=layout,
        sizes=sizes,
        dtype=dtype,
        ragged=ragged,
        opening=_opening(layout, sizes, splits),
        tape=_region(layout, sizes, dtype, layout.tape_arrays),
        forward=_region(layout, sizes, dtype, layout.forward_arrays),
        backward=_region(layout, sizes, dtype, layout.backward_arrays, layout.zeroed_arrays),
        parameter_slots=(*weights, ("b_h", layout.slots["b_h"]), *vectors),
        kernels=get_kernels(layout, KINDS[dtype], ragged=ragged),
        forward_own=_region(layout, sizes, dtype, own_arrays(layout.forward_arrays, blocks)),
        backward_own=_region(layout, sizes, dtype, own_arrays(layout.backward_arrays, blocks)),
        splits=splits,
        blocks=blocks,
    )


def choose_layout(B: int, H: int, lanes: int) -> Literal["units", "rows"]:
    """Return what the lanes of a vector are: what leaves fewer of them idle.

    Both spend their time on padded arrays, B rows of P >= H units or H lines of S >= B rows, and the ratio of measured
    times follows that of these two products: over H = 4 to 128 and B = 2 to 1024, Elman, LSTM and GRU, 8 and 64 inputs
    and either dtype, the layout chosen was the faster one or within a tenth of it, but for one size (H = 33, B = 24: a
    sixth). Where it is a draw the units are as fast or up to a fifth faster: their products read packed weights in
    order.
    """
    rows, units = H * -(-B // lanes) * lanes, B * -(-H // lanes) * lanes
    return "rows" if 10 * rows < 9 * units else "units"


def _work(layout: Layout, shape: tuple[int, int, int], P: int) -> dict[str, int]:
    """Arithmetic operations of the kernels that can be shared."""
    T, B, D = shape
    x = sum(2 * D * run.count * P for runs in layout.runs for run in runs if run.kind == "x")
    h = sum(2 * P * run.count * P for runs in layout.runs for run in runs if run.kind != "x")
    elementwise = ELEMENTWISE * P * sum(len(stage.columns) for stage in layout.plan.stages)
    return {
        "forward_rows": T * B * (x + h + elementwise),
        "backward_rows": T * B * (h + elementwise),
        "weight_gradients": T * B * (x + h),
        "input_gradient": T * B * x,
        "backward_chunks": T * B * (h + elementwise),
    }


def _splits(layout: Layout, sizes: Sizes, tall: int, worth: dict[str, bool]) -> dict[str, Split]:
    """Cut so that register tiles stay whole."""
    if layout.name == "rows":
        found, lines = rows_gradients.group_efforts(layout, sizes, host()), ("first_line", 1, sizes.T)
    else:
        found = units_gradients.group_efforts(layout, sizes, host())
        lines = ("first_line", 8 * tall, sizes.T * sizes.B)
    groups, efforts = sum(n for n, _ in found), sum(n * effort for n, effort in found)
    cuts = {
        "forward_rows": ("first_row", sizes.tile, sizes.B),
        "backward_rows": ("first_row", sizes.tile, sizes.B),
        "weight_gradients": ("first_effort", 1, efforts),
        "input_gradient": lines,
    }
    # A turn has a part for each thread.
    cuts["backward_chunks"] = ("first_block", 1, max(sizes.tiles, groups))
    most = {kernel: -(-end // step) for kernel, (_, step, end) in cuts.items()} | {"weight_gradients": groups}
    return {
        kernel: Split(layout.slots[first], step, end, most[kernel] if worth[kernel] else 1)
        for kernel, (first, step, end) in cuts.items()
    }


@lru_cache(maxsize=256)
def _layout(cell: Cell, name: str) -> Layout:
    return {"units": Layout, "rows": RowsLayout}[name].of(cell)


def _region(
    layout: Layout, sizes: Sizes, dtype: np.dtype[Any], arrays: tuple[str, ...], zeroed: tuple[str, ...] = ()
) -> Region:
    counts = [(name, layout.count(name, sizes)) for name in (*zeroed, *arrays)]
    offsets, count = places(counts, dtype.itemsize)
    return Region(
        slots=np.array([layout.slots[name] for name in offsets], np.int64),
        starts=np.array(list(offsets.values()), np.int64) * dtype.itemsize,
        offsets=offsets,
        count=count,
        zeroed=offsets[arrays[0]] if zeroed else 0,
    )


def own_arrays(arrays: tuple[str, ...], blocks: int) -> tuple[str, ...]:
    """Which of a pass's own arrays every thread must have for itself."""
    own: tuple[str, ...] = ("columns:", "block", "arriving", "dx_tile")
    if blocks == 1:
        own = (*own, "passing:", "gradient:")
    return tuple(name for name in arrays if name.startswith(own))


def _blocks(layout: Layout, sizes: Sizes, dtype: np.dtype[Any], tall: int) -> int:
    """Cut the units of a few rows: threads then meet every step, which takes them some tenths of a microsecond."""
    counts = sum(run.count for runs in layout.runs for run in runs if run.kind != "x")
    weights = sizes.H * counts * sizes.V * sizes.lanes * dtype.itemsize
    if layout.name == "rows" or tall < sizes.B or weights < LARGE:
        return 1
    return max(1, sizes.V // FEWEST)


def _opening(layout: Layout, sizes: Sizes, splits: dict[str, Split]) -> npt.NDArray[np.int64]:
    arguments = np.zeros(len(layout.slots), np.int64)
    values = {
        "T": sizes.T, "B": sizes.B, "D": sizes.D, "H": sizes.H,
        "V": sizes.V, "P": sizes.V * sizes.lanes, "VX": sizes.VX, "PX": sizes.VX * sizes.lanes,
        "x_t": sizes.B * sizes.D, "x_b": sizes.D, "S": sizes.S, "blocks": 1, "end_vector": sizes.V,
        "chunk": sizes.chunk, "end_step": sizes.T, "efforts": splits["weight_gradients"].end,
        "tile": sizes.tile, "together": sizes.together,
        "small": int(layout.name == "rows" and fits(layout, sizes)),
        "ring": -1 if sizes.all_states else 1, "keep": int(sizes.all_saved),
    }  # fmt: skip
    for name, value in values.items():
        arguments[layout.slots[name]] = value
    for split in splits.values():
        arguments[split.slot + 1] = split.end  # from 0: one call does it all
    return arguments
