"""A layer's passes as calls on memory that stays: what a list of training steps is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from bptt.cells.protocol import Cell
from bptt.engine.compiled.route import Region, find_route
from bptt.engine.compiled.threads.sharing import Members, most_members, room
from bptt.engine.compiled.threads.team import Phase
from bptt.engine.compiled.training.call_list import Call
from bptt.engine.compiled.workspace import address, new_block
from bptt.engine.tape import Array


@dataclass(frozen=True)
class Rows:
    """Rows of numbers in memory: `count` of them at `address`, `stride` numbers apart."""

    address: int
    count: int
    stride: int


class LayerCalls:
    """One layer, one direction, equal lengths, from a state of zeros.

    Parameters
    ----------
    cell : Cell
    parameters, gradients : mapping of bare name to ndarray
        Live arrays, C-contiguous, of one dtype; the gradients are written at each sweep.
    x : int
        Address of the input (T, B, D).
    shape : (T, B, D)
    """

    def __init__(
        self,
        cell: Cell,
        parameters: Mapping[str, Array],
        gradients: Mapping[str, Array],
        x: int,
        shape: tuple[int, int, int],
    ) -> None:
        name, (_, blocks) = next(iter(cell.plan.weights.items()))
        dtype, H = parameters[name].dtype, parameters[name].shape[1] // blocks
        self.route = find_route(cell, dtype, shape, H, ragged=False, states=True, saved=True)
        self.dtype: np.dtype[Any] = dtype
        self._kept: list[object] = [parameters, gradients]
        self._arguments = self.route.opening.copy()
        self._members: Members | None = None
        self._places: dict[str, int] = {}
        self._set("x", x)
        for parameter, slot in self.route.parameter_slots:
            if parameter in parameters:
                self._arguments[slot] = address(parameters[parameter])
                self._set(f"gradient_of:{parameter}", address(gradients[parameter]))
        self._tape = self._place(self.route.tape)
        for state in cell.plan.states:
            start = self.route.tape.offsets[f"state:{state}"]
            self._tape[start : start + prod(self.route.grid)] = 0
        self._place(self.route.forward)
        self._sweep = self._place(self.route.backward)
        self._set("cleared", self.route.backward.zeroed)
        for state in cell.plan.states:
            self._set(f"dstate:{state}", 0)  # their gradients at every step: nobody asks
        self._own: dict[str, Rows] = {}

    @property
    def _by_rows(self) -> bool:
        """Whether rows are the lanes: what others read or write row by row is then transposed by the kernels."""
        return self.route.layout.name == "rows"

    @property
    def P(self) -> int:  # noqa: N802  # as in the engine
        """Numbers of a padded row of units."""
        return self.route.sizes.V * self.route.sizes.lanes

    def take_lines(self) -> Rows | None:
        """Let the layer find its input in lines of rows, (T * D, S), written by others; None where units are the lanes.

        It then reads `x` no more.
        """
        sizes = self.route.sizes
        if not self._by_rows:
            return None
        self._set("x", 0)
        return Rows(self._places["inputs"], sizes.T * sizes.D, sizes.S)

    @property
    def outputs(self) -> Rows:
        """H after every step: T * B rows."""
        sizes = self.route.sizes
        if self._by_rows:
            return self._rows_of("outputs", 0, sizes.H)
        start = self._places["state:h"] + sizes.B * self.P * self.dtype.itemsize
        return Rows(start, sizes.T * sizes.B, self.P)

    @property
    def last_output(self) -> Rows:
        """H after the last step: B rows. Of a layer either this is asked for or `outputs`."""
        sizes = self.route.sizes
        if self._by_rows:
            return self._rows_of("outputs", sizes.T - 1, sizes.H)
        start = self._places["state:h"] + sizes.T * sizes.B * self.P * self.dtype.itemsize
        return Rows(start, sizes.B, self.P)

    @property
    def last_output_gradient(self) -> Rows:
        """Where dL/d(last h) is to be written, once the sweep's memory is cleared: B padded rows."""
        sizes = self.route.sizes
        if self._by_rows:
            rows = self._rows_of("dh", sizes.T - 1, self.P)
            self.read_upstream(rows)
            return rows
        half = sizes.B * self.P * self.dtype.itemsize
        return Rows(self._places["carried:h"] + ((sizes.T - 1) & 1) * half, sizes.B, self.P)

    def read_upstream(self, dh: Rows) -> None:
        """Let the sweep read dL/dh of every step from T * B rows."""
        self._set("dh", dh.address)
        self._set("dh_t", dh.stride * self.route.sizes.B)
        self._set("dh_b", dh.stride)

    @property
    def input_gradient(self) -> Rows:
        """dL/dx after a sweep that forms it: T * B rows."""
        sizes = self.route.sizes
        stride = sizes.D if self._by_rows else sizes.VX * sizes.lanes
        return Rows(self._places["dx"], sizes.T * sizes.B, stride)

    def final(self, state: str) -> Array:
        """Return a copy of a state after the last step, (B, H)."""
        start = self.route.tape.offsets[f"state:{state}"]
        return self._copy(self._tape, start, self.route.sizes.T)

    def initial_gradient(self, state: str) -> Array:
        """Return a copy of dL/d(initial state) after a sweep, (B, H)."""
        return self._copy(self._sweep, self.route.backward.offsets[f"carried:{state}"], 1)

    def _copy(self, block: Array, start: int, step: int) -> Array:
        count = prod(self.route.grid)
        first = start + step * count
        shown: Array = self.route.shown(block[first : first + count].reshape(1, *self.route.grid))[0]
        return shown.copy()

    def calls(self, *kernels: str) -> list[Call]:
        """Return calls of the layer's kernels."""
        return [
            Call(
                self.route.kernels[kernel], self._arguments, self, most_members(self.route, kernel),
                partial(self._share, kernel),
            )
            for kernel in kernels
        ]  # fmt: skip

    def sweep(self, *, input_gradient: bool) -> list[Call]:
        """Return the calls of a sweep back, once `pack_backward` has cleared its memory."""
        if not input_gradient:
            self._set("dx", 0)
        return self.calls(*self.route.going_back(parameters=True, x=input_gradient))

    def _share(self, kernel: str, members: int) -> list[Phase]:
        own = (self.route.forward_own, self.route.backward_own)
        if self._members is None or self._members.members != members:
            block = new_block(room(own, members), self.dtype)
            self._members = Members(self.route, self._arguments, members, own, block)
        return self._members.phases(kernel)

    def _rows_of(self, name: str, first: int, stride: int) -> Rows:
        """Return memory of the layer's own for an argument's rows, from step `first` on."""
        if name not in self._own:
            count = (self.route.sizes.T - first) * self.route.sizes.B
            block = new_block(count * stride, self.dtype)
            block[:] = 0
            self._kept.append(block)
            self._own[name] = Rows(address(block), count, stride)
            self._set(name, address(block))
            self._set(f"{name}_from", first)
        return self._own[name]

    def _place(self, region: Region) -> Array:
        block = new_block(region.count, self.dtype)
        self._kept.append(block)
        self._arguments[region.slots] = region.starts + address(block)
        start = address(block)
        self._places.update(
            {name: start + offset * self.dtype.itemsize for name, offset in region.offsets.items()}
        )
        return block

    def _set(self, name: str, value: int) -> None:
        self._arguments[self.route.layout.slots[name]] = value
        self._members = None  # they have copies
