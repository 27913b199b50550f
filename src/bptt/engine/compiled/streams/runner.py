"""A stream in memory: one block for weights, states and rows; what remains of Python in a step is one call.

`bptt.network.stream` checks what the user hands over, this trusts it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.cells.protocol import Cell
from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.machine_code import kernel_address, load_kernels
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.route import KINDS
from bptt.engine.compiled.streams.kernels import emit_stream_module
from bptt.engine.compiled.streams.layout import HEAD, HEAD_SLOTS, StreamLayout, StreamSizes
from bptt.engine.compiled.units.layout import Layout
from bptt.engine.compiled.workspace import address, new_block, places
from bptt.engine.tape import Array

# A step of fewer multiplications keeps the interpreter's lock: it is over before another thread could make use of
# it, and whoever gives the lock away may wait for its return for thousands of times as long.
BRIEF = 200_000

Function = Callable[[int], int]


class CompiledStream:
    """Streams of one network that advance together.

    Parameters
    ----------
    cell, dtype
        The stack's.
    streams, inputs, hidden, outputs, layers, lags : int
        S, D (the caller's columns), H, K, L, and how many rows the linear path reads.
    activation : str
        The readout's.
    change_of : sequence of int or None
        Columns of the first layer's input.
    change_scale : float
    feedback : bool

    Attributes
    ----------
    x, y : ndarray (S, D) and (S, K)
        What `advance` reads and writes.
    argument : int
        What `advance` takes.
    advance : callable
        Makes one step and returns 0; returns 1, with nothing changed, where a number of x is not finite.
    clock : ndarray of int64 (1,)
        Steps made.
    rows : ndarray (S, R, I)
        The newest rows that the first layer read, what was fed back among them.
    fed : ndarray (S, K)
        What the next step is fed, with feedback.
    """

    def __init__(
        self,
        cell: Cell,
        dtype: np.dtype[Any],
        *,
        streams: int,
        inputs: int,
        hidden: int,
        outputs: int,
        layers: int,
        lags: int,
        activation: str,
        change_of: Sequence[int] | None,
        change_scale: float,
        feedback: bool,
    ) -> None:
        lanes = lanes_of(KINDS[dtype], host()).count
        sizes = StreamSizes(streams, inputs, hidden, outputs, layers, lags, feedback, lanes)
        self._layout, self._sizes, self._dtype = StreamLayout(Layout.of(cell)), sizes, dtype
        self._pack, brief, self._free = find_functions(self._layout, KINDS[dtype], activation)
        self._widths = [sizes.I, *[hidden] * (layers - 1)]
        counts = list(sizes.counts().items())
        for k, width in enumerate(self._widths):
            counts += [(f"{k} {name}", n) for name, n in self._layout.counts(sizes, width).items()]
        self._offsets, count = places(counts, dtype.itemsize)
        self._counts = dict(counts)
        self._block = new_block(count, dtype)
        self._block[...] = 0
        self._part("scale")[0] = change_scale
        self._columns = np.array(change_of or (), np.int64)
        self.clock = np.zeros(1, np.int64)
        self.x = self._part("x").reshape(streams, inputs)
        self.y = self._part("y").reshape(streams, outputs)
        self.fed = self._part("fed").reshape(streams, outputs)
        rows = self._part("rows").reshape(streams, sizes.row)
        self.rows = rows[:, : sizes.R * sizes.I].reshape(streams, sizes.R, sizes.I)
        self._arguments = self._make_arguments()
        # A block of rows has arguments of its own: those of a step stay as they are, whatever interrupts it.
        self._block_arguments = self._arguments.copy()
        self.argument = address(self._arguments)
        self.advance = brief if self._multiplications() * streams <= BRIEF else self._free

    # ---------------------------------------------------------------- what the network sees

    def push(self, x: Array) -> Array | None:
        """Make a step for each of x (S, T, D), contiguous; return y (S, T, K), or None if x was refused."""
        S, T, _ = x.shape
        y = np.empty((S, T, self._sizes.K), self._dtype)
        for name, value in (("T", T), ("x", address(x)), ("y", address(y))):
            self._block_arguments[HEAD_SLOTS[name]] = value
        return None if self._free(address(self._block_arguments)) else y

    def read_state(self) -> dict[str, Array]:
        """Return a copy of the states, each (L, S, H)."""
        now = int(self.clock[0]) & 1
        return {
            name: np.stack([self._state(k, name)[now] for k in range(self._sizes.layers)])
            for name in self._layout.layout.plan.states
        }

    def write_state(self, state: Mapping[str, Array]) -> None:
        """Set states, each (L, S, H)."""
        now = int(self.clock[0]) & 1
        for name, array in state.items():
            for k in range(self._sizes.layers):
                self._state(k, name)[now] = array[k]

    def read_weights(
        self, layers: Sequence[Mapping[str, Array]], W_hy: Array, b_y: Array | None, W_xy: Array | None
    ) -> None:
        """Take over weights: each layer's under their bare names, W_hy (H, K), b_y (K,) and W_xy (lags * D, K)."""
        H, K = self._sizes.H, self._sizes.K
        for k, parameters in enumerate(layers):
            self._read_layer(k, parameters)
        self._part("readout").reshape(K, -1)[:, :H] = W_hy.T
        self._part("readout_bias")[:K] = 0 if b_y is None else b_y
        if W_xy is not None:
            self._part("linear").reshape(K, -1)[:, : len(W_xy)] = W_xy.T

    # ---------------------------------------------------------------- inside

    def _read_layer(self, k: int, parameters: Mapping[str, Array]) -> None:
        plan, slots, H = self._layout.layout.plan, self._layout.slots, self._sizes.H
        for name in plan.vectors:
            self._part(f"{k} vector:{name}")[:H] = parameters.get(name, 0)
        b_h = parameters.get("b_h")
        if b_h is not None:
            for n, stage in enumerate(plan.stages):
                bias = self._part(f"{k} bias:{n}").reshape(len(stage.columns), -1)
                for gate, column in enumerate(stage.bias_columns, start=stage.first_gate):
                    bias[column, :H] = b_h[gate * H : (gate + 1) * H]
        first = self._start(k)
        arguments = self._arguments[first : first + len(slots)].copy()
        weights = {name: np.ascontiguousarray(parameters[name], self._dtype) for name in plan.weights}
        for name, array in weights.items():
            arguments[slots[f"weight:{name}"]] = address(array)
        self._pack(address(arguments))

    def _make_arguments(self) -> npt.NDArray[np.int64]:
        sizes, slots = self._sizes, self._layout.slots
        found = np.zeros(self._start(sizes.layers), np.int64)
        head = {
            "T": 1, "S": sizes.S, "tile": sizes.tile, "D": sizes.D, "I": sizes.I, "H": sizes.H, "P": sizes.P,
            "K": sizes.K, "layers": sizes.layers, "R": sizes.R, "row": sizes.row, "feedback": int(sizes.feedback),
            "clock": address(self.clock),
            "columns": address(self._columns) if len(self._columns) else 0,
        }  # fmt: skip
        for name in HEAD:
            if name in head:
                found[HEAD_SLOTS[name]] = head[name]
            elif self._counts[name]:
                found[HEAD_SLOTS[name]] = address(self._part(name))
        for k, width in enumerate(self._widths):
            own = {
                "S": sizes.S, "D": width, "H": sizes.H,
                "V": sizes.P // sizes.lanes, "P": sizes.P,
                **{name: address(self._part(f"{k} {name}")) for name in self._layout.arrays},
            }  # fmt: skip
            for name, value in own.items():
                found[self._start(k) + slots[name]] = value
        return found

    def _start(self, layer: int) -> int:
        """Where a layer's arguments start."""
        return len(HEAD) + layer * len(self._layout.slots)

    def _part(self, name: str) -> Array:
        start = self._offsets[name]
        return self._block[start : start + self._counts[name]]

    def _state(self, k: int, name: str) -> Array:
        """Return one layer's state (2, S, H)."""
        sizes = self._sizes
        return self._part(f"{k} state:{name}").reshape(2, sizes.S, sizes.P)[:, :, : sizes.H]

    def _multiplications(self) -> int:
        """Of one stream's step."""
        blocks = self._layout.layout.plan.weights.values()
        H = self._sizes.H
        return sum(
            count * H * (width if rows == "x" else H) for width in self._widths for rows, count in blocks
        )


@lru_cache(maxsize=256)
def find_functions(layout: StreamLayout, kind: str, activation: str) -> tuple[Function, Function, Function]:
    """Return ``pack_layer``, and ``advance`` twice: with the interpreter's lock kept, and given away meanwhile."""
    kernels = load_kernels(
        f"stream, {kind}, {activation}\n{layout.text}",
        ("pack_layer", "advance"),
        lambda prefix: emit_stream_module(layout, kind, activation, prefix),
    )
    pack, advance = (kernel_address(kernels[name]) for name in ("pack_layer", "advance"))
    keeping = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    giving = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    return keeping(pack), keeping(advance), giving(advance)
