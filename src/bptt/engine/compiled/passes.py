"""Forward and backward passes: check what the kernels rely on, lay out memory, call them, hand back arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.cells.protocol import Cell
from bptt.engine import reference
from bptt.engine.compiled.kernels import get_kernels, lanes_of
from bptt.engine.compiled.layout import SIZES, Layout, Sizes, places
from bptt.engine.compiled.target import host
from bptt.engine.compiled.workspace import ALIGNMENT, address, new_block, scratch
from bptt.engine.tape import WANT, Array, Sweep, Tape

# Rows that run through all steps together: their states should stay in the second cache beside the weights.
TILE = 64

_KINDS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


@dataclass(frozen=True)
class CompiledTape(Tape):
    """A tape whose arrays are parts of one block; `states` and `saved` show them without their padding."""

    block: Array
    layout: Layout
    sizes: Sizes
    ragged: bool


def forward(
    cell: Cell,
    parameters: Mapping[str, Array],
    x: Array,
    state0: Mapping[str, Array] | None = None,
    lengths: npt.NDArray[np.int64] | None = None,
    *,
    outputs: str = "all",
    tape: bool = True,
) -> tuple[Array | None, dict[str, Array], Tape | None]:
    """Run a layer over a batch of sequences; see `bptt.engine.reference.forward`.

    Other dtypes than float32 and float64 (complex, for the complex step) go to the reference engine.
    """
    dtype = np.result_type(x, *parameters.values(), *(state0 or {}).values())
    if dtype not in _KINDS:
        return reference.forward(cell, parameters, x, state0, lengths, outputs=outputs, tape=tape)
    layout = _layout(cell)
    T, B, D = x.shape
    H = _units(layout, parameters)
    active = None
    if lengths is not None and T and int(lengths.min()) < T:
        active = (np.arange(T)[:, None] < lengths)[:, :, None]
        x = np.where(active, x, np.zeros((), dtype))  # NaN in the padding must not reach a product
    x = np.ascontiguousarray(x, dtype)
    all_states = tape or outputs == "all"
    sizes = _sizes(T, B, D, H, dtype, all_states, tape)
    P = sizes.V * sizes.lanes
    offsets, count = places(layout, layout.tape_arrays, sizes, ALIGNMENT // dtype.itemsize)
    block = new_block(count, dtype)
    states = {
        name: _part(block, offsets[f"state:{name}"], (T + 1 if all_states else 2, B, P)) for name in layout.plan.states
    }
    for name, array in states.items():
        array[0] = 0
        if state0 is not None and name in state0:
            array[0, :, :H] = state0[name]
    call = _Call(layout, sizes, dtype)
    call.place(layout.tape_arrays, block)
    call.place(layout.forward_arrays)
    call.give(parameters, x, lengths if active is not None else None)
    call.run("forward", ragged=active is not None)

    last = T if all_states else T & 1
    final = {name: array[last, :, :H].copy() for name, array in states.items()}
    h = _outputs(states["h"], H, active) if outputs == "all" else None
    if not tape:
        return h, final, None
    saved = {name: _part(block, offsets[f"saved:{name}"], (T, B, P))[..., :H] for name in layout.plan.saved}
    shown = {name: array[..., :H] for name, array in states.items()}
    kept = CompiledTape(
        cell, parameters, x, lengths, shown, saved, block=block, layout=layout, sizes=sizes, ragged=active is not None
    )
    return h, final, kept


def backward(
    tape: Tape,
    dh: Array | None = None,
    dstate_T: Mapping[str, Array] | None = None,
    *,
    want: Collection[str] = WANT,
) -> Sweep:
    """Sweep back through time; see `bptt.engine.reference.backward`."""
    if not isinstance(tape, CompiledTape):
        return reference.backward(tape, dh, dstate_T, want=want)
    layout, sizes, dtype = tape.layout, tape.sizes, tape.block.dtype
    call = _Call(layout, sizes, dtype)
    call.place(layout.tape_arrays, tape.block)
    call.place((*layout.zeroed_arrays, *layout.backward_arrays), zeroed=layout.zeroed_arrays)
    call.give(tape.parameters, tape.x, tape.lengths)
    if dh is not None:
        call.give_upstream(dh)
    T, H = sizes.T, sizes.H
    for name, d in (dstate_T or {}).items():
        call.array(f"carried:{name}", (2, sizes.B, -1))[(T - 1) & 1, :, :H] = d
    call.want("want_parameters", "parameters" in want)
    call.want("want_x", "x" in want)
    if "states" not in want:
        for name in layout.plan.states:
            call.want(f"dstate:{name}", wanted=False)
    call.run("backward", ragged=tape.ragged)

    state0 = None
    if "state0" in want or "states" in want:
        state0 = {name: call.array(f"carried:{name}", (2, sizes.B, -1))[1, :, :H].copy() for name in layout.plan.states}
    states = None
    if "states" in want and state0 is not None:
        states = {
            name: call.array(f"dstate:{name}", (T + 1, sizes.B, -1))[..., :H].copy() for name in layout.plan.states
        }
        for name, array in states.items():
            array[0] = state0[name]
    return Sweep(
        parameters=_parameter_gradients(call, tape.parameters) if "parameters" in want else None,
        x=call.array("dx", (T, sizes.B, -1))[..., : sizes.D].copy() if "x" in want else None,
        state0=state0 if "state0" in want else None,
        states=states,
    )


class _Call:
    """The argument array of one kernel call, and what must stay alive until it returns."""

    def __init__(self, layout: Layout, sizes: Sizes, dtype: np.dtype[Any]) -> None:
        self.layout, self.sizes, self.dtype = layout, sizes, dtype
        self.arguments = _opening(layout, sizes).copy()
        self.kept: list[Array] = []
        self.block: Array = np.empty(0, dtype)
        self.offsets: dict[str, int] = {}

    def place(
        self, arrays: tuple[str, ...], block: Array | None = None, *, zeroed: tuple[str, ...] = ()
    ) -> None:
        """Tell the kernel where `arrays` lie: in `block`, or in scratch memory; `zeroed` come first in it."""
        align = ALIGNMENT // self.dtype.itemsize
        offsets, count = places(self.layout, arrays, self.sizes, align)
        if block is None:
            block = self.block = scratch(count, self.dtype)
            self.offsets = offsets
            if zeroed:
                block[: offsets[arrays[len(zeroed)]]] = 0
        indices, starts = _starts(self.layout, arrays, self.sizes, align)
        self.arguments[indices] = address(block) + self.dtype.itemsize * starts

    def give(self, parameters: Mapping[str, Array], x: Array, lengths: npt.NDArray[np.int64] | None) -> None:
        """Pass the caller's arrays."""
        self._give("x", x)
        if lengths is not None:
            self._give("lengths", np.ascontiguousarray(lengths, np.int64))
        for name, slot in _parameter_slots(self.layout):
            if name in parameters:
                self._give(slot, np.ascontiguousarray(parameters[name], self.dtype))

    def give_upstream(self, dh: Array) -> None:
        """Pass dL/dh (T, B, H), as it lies where its units are contiguous."""
        size = self.dtype.itemsize
        if dh.dtype != self.dtype or dh.strides[2] != size or dh.strides[0] % size or dh.strides[1] % size:
            dh = np.ascontiguousarray(dh, self.dtype)
        self._give("dh", dh)
        slots = self.layout.slots
        self.arguments[slots["dh_t"]] = dh.strides[0] // size
        self.arguments[slots["dh_b"]] = dh.strides[1] // size

    def want(self, name: str, wanted: bool) -> None:  # noqa: FBT001  # set by name
        """Ask for a result, or refuse it."""
        if not wanted or name in SIZES:
            self.arguments[self.layout.slots[name]] = int(wanted)

    def array(self, name: str, shape: tuple[int, ...]) -> Array:
        """Return a scratch array; one -1 in the shape stands for the padded row."""
        P = self.sizes.lanes * (self.sizes.VX if name == "dx" else self.sizes.V)
        return _part(self.block, self.offsets[name], tuple(P if n == -1 else n for n in shape))

    def run(self, kernel: str, *, ragged: bool) -> None:
        """Call the kernel."""
        get_kernels(self.layout, _KINDS[self.dtype], ragged=ragged)[kernel](address(self.arguments))

    def _give(self, slot: str, array: Array) -> None:
        self.kept.append(array)
        self.arguments[self.layout.slots[slot]] = address(array)


@lru_cache(maxsize=256)
def _layout(cell: Cell) -> Layout:
    return Layout.of(cell)


@lru_cache(maxsize=256)
def _sizes(T: int, B: int, D: int, H: int, dtype: np.dtype[Any], all_states: bool, all_saved: bool) -> Sizes:  # noqa: FBT001
    target = host()
    # Tiles of one size, a whole number of register tiles: how work is cut depends on the problem alone.
    tall = target.heights[0]
    tile = B if B <= TILE else -(-B // -(-B // TILE) // tall) * tall
    return Sizes(T, B, D, H, lanes_of(_KINDS[dtype], target).count, target.panel, max(tile, 1), all_states, all_saved)


@lru_cache(maxsize=256)
def _opening(layout: Layout, sizes: Sizes) -> npt.NDArray[np.int64]:
    """Return the argument array with the sizes filled in and no array given."""
    arguments = np.zeros(len(layout.slots), np.int64)
    values = {
        "T": sizes.T, "B": sizes.B, "D": sizes.D, "H": sizes.H,
        "V": sizes.V, "P": sizes.V * sizes.lanes, "VX": sizes.VX, "PX": sizes.VX * sizes.lanes,
        "tile": sizes.tile, "ring": -1 if sizes.all_states else 1, "keep": int(sizes.all_saved),
    }  # fmt: skip
    for name, value in values.items():
        arguments[layout.slots[name]] = value
    return arguments


@lru_cache(maxsize=256)
def _starts(
    layout: Layout, arrays: tuple[str, ...], sizes: Sizes, align: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the arrays' slots and where they start."""
    offsets, _ = places(layout, arrays, sizes, align)
    return np.array([layout.slots[name] for name in arrays], np.int64), np.array([offsets[n] for n in arrays], np.int64)


@lru_cache(maxsize=256)
def _parameter_slots(layout: Layout) -> tuple[tuple[str, str], ...]:
    weights = tuple((name, f"weight:{name}") for name in layout.plan.weights)
    return (*weights, ("b_h", "b_h"), *((name, f"own:{name}") for name in layout.plan.vectors))


def _units(layout: Layout, parameters: Mapping[str, Array]) -> int:
    """H from any weight: its columns are blocks of H."""
    name, (_, blocks) = next(iter(layout.plan.weights.items()))
    return int(parameters[name].shape[1]) // blocks


def _part(block: Array, offset: int, shape: tuple[int, ...]) -> Array:
    count = 1
    for n in shape:
        count *= n
    return block[offset : offset + count].reshape(shape)


def _outputs(h: Array, H: int, active: Array | None) -> Array:
    shown = h[1:, :, :H]
    return shown.copy() if active is None else np.where(active, shown, np.zeros((), h.dtype))


def _parameter_gradients(call: _Call, parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Cut the padding off the gradients, and add up the tiles of bias and vectors in their order."""
    layout, sizes = call.layout, call.sizes
    H = sizes.H
    gradients = {name: np.empty(p.shape, call.dtype) for name, p in parameters.items()}
    for runs in layout.runs:
        for run in runs:
            rows = sizes.D if run.kind == "x" else H
            found = call.array(f"dweight:{run.key}", (rows, run.count, -1))
            target = gradients[run.weight].reshape(rows, -1, H)
            target[:, run.block : run.block + run.count] = found[..., :H]
    if "b_h" in gradients:
        for k, stage in enumerate(layout.plan.stages):
            sums = call.array(f"dbias:{k}", (sizes.tiles, len(stage.columns), -1)).sum(axis=0)
            for gate, column in enumerate(stage.bias_columns, start=stage.first_gate):
                gradients["b_h"][gate * H : (gate + 1) * H] = sums[column, :H]
    for name in layout.plan.vectors:
        if name in gradients:
            gradients[name][...] = call.array(f"dvector:{name}", (sizes.tiles, -1)).sum(axis=0)[:H]
    return gradients
