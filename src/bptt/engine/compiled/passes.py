"""Forward and backward passes: lay out memory, call the kernels, hand back arrays without their padding."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.cells.plan import CellPlan
from bptt.cells.protocol import Cell
from bptt.engine import reference
from bptt.engine.compiled.route import KINDS, Region, Route, find_route
from bptt.engine.compiled.threads.sharing import Members, count_members, most_members, room, variants
from bptt.engine.compiled.threads.team import Job, finish_interrupted, run_together
from bptt.engine.compiled.workspace import address, new_block, scratch
from bptt.engine.tape import WANT, Array, Sweep, Tape


@dataclass(frozen=True)
class CompiledTape(Tape):
    """A tape whose arrays are parts of one block; `states` and `saved` show them without their padding."""

    block: Array
    route: Route

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a plain tape, which the reference engine sweeps: kernels stay here."""
        states = {name: array.copy() for name, array in self.states.items()}
        saved = {name: array.copy() for name, array in self.saved.items()}
        return Tape, (self.cell, dict(self.parameters), self.x, self.lengths, states, saved)


class Shown(Mapping[str, Array]):
    """A tape's arrays without their padding, each made when it is asked for: a training step never asks."""

    def __init__(self, route: Route, block: Array, kind: str, names: Sequence[str], steps: int) -> None:
        self._route, self._block, self._kind, self._names, self._steps = route, block, kind, names, steps

    def __getitem__(self, name: str) -> Array:
        route = self._route
        start = route.tape.offsets[f"{self._kind}:{name}"]
        return route.shown(_part(self._block, start, (self._steps, *route.grid)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


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
    if dtype not in KINDS:
        return reference.forward(cell, parameters, x, state0, lengths, outputs=outputs, tape=tape)
    plan = cell.plan
    T, B, D = x.shape
    active = None
    if lengths is not None and int(lengths.min()) < T:
        active = (np.arange(T)[:, None] < lengths)[:, :, None]
        x = np.where(active, x, np.zeros((), dtype))  # NaN in the padding must not reach a product
    # Batch first as users have it: a sweep back would read it time first.
    batch_first = not tape and x.dtype == dtype and B > 1 and x.transpose(1, 0, 2).flags.c_contiguous
    if not batch_first:
        x = np.ascontiguousarray(x, dtype)
    H = _units(plan, parameters)
    every = tape or outputs == "all"
    route = find_route(cell, dtype, (T, B, D), H, ragged=active is not None, states=every, saved=tape)
    block = new_block(route.tape.count, dtype)
    call = _Call(route)
    call.place(route.tape, block)
    kernels = ("pack_forward", "forward_rows")
    call.place_scratch(route.forward, route.forward_own, kernels)
    call.give(parameters, x, lengths if active is not None else None)
    if batch_first:
        call.set("x_t", D)
        call.set("x_b", T * D)
    states = Shown(route, block, "state", plan.states, T + 1 if every else 2)
    cells = route.grid[0] * route.grid[1]
    for name in plan.states:
        start = route.tape.offsets[f"state:{name}"]
        block[start : start + cells] = 0
        if state0 is not None and name in state0:
            states[name][0] = state0[name]
    h = call.give_outputs() if outputs == "all" and route.layout.name == "rows" else None
    call.run(*kernels)

    last = T if every else T & 1
    if outputs == "all" and h is None:
        h = _outputs(states["h"], active)
    # What keeps two steps alone may be held by its final states; more must go when it is done.
    final = {name: array[last].copy() if every else array[last] for name, array in states.items()}
    if not tape:
        return h, final, None
    saved = Shown(route, block, "saved", plan.saved, T)
    return h, final, CompiledTape(cell, parameters, x, lengths, states, saved, block=block, route=route)


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
    route, plan = tape.route, tape.route.layout.plan
    T, B, D = route.sizes.T, route.sizes.B, route.sizes.D
    call = _Call(route)
    call.place(route.tape, tape.block)
    kernels = route.going_back(parameters="parameters" in want, x="x" in want)
    call.place_scratch(route.backward, route.backward_own, kernels)
    call.give(tape.parameters, tape.x, tape.lengths if route.ragged else None)
    if dh is not None:
        call.give_upstream(dh)
    call.run("pack_backward")
    for name, d in (dstate_T or {}).items():
        call.shown(f"carried:{name}", 2)[(T - 1) & 1] = d
    if "states" not in want:
        for name in plan.states:
            call.set(f"dstate:{name}", 0)
    if "x" not in want:
        call.set("dx", 0)
    gradients = None
    if "parameters" in want:
        gradients = {name: np.empty(p.shape, route.dtype) for name, p in tape.parameters.items()}
        call.give_gradients(gradients)
    call.run(*kernels)

    state0 = states = None
    if "state0" in want or "states" in want:
        state0 = {name: call.shown(f"carried:{name}", 2)[1].copy() for name in plan.states}
    if "states" in want and state0 is not None:
        states = {name: call.shown(f"dstate:{name}", T + 1).copy() for name in plan.states}
        for name, array in states.items():
            array[0] = state0[name]
    return Sweep(
        parameters=gradients,
        x=call.array("dx", (T, B, call.PX))[..., :D].copy() if "x" in want else None,
        state0=state0 if "state0" in want else None,
        states=states,
    )


class _Call:
    """The argument array of one kernel call, and what must stay alive until it returns."""

    def __init__(self, route: Route) -> None:
        finish_interrupted()  # or its workers would go on writing into this thread's scratch memory
        self.route = route
        self.arguments = route.opening.copy()
        self.kept: list[Array] = []
        # Numbers in a row of `dx`.
        self.PX = route.sizes.VX * route.sizes.lanes if route.layout.name == "units" else route.sizes.D
        self.region = self.own = route.tape
        self.block: Array = self.arguments
        self.members = 1

    def place(self, region: Region, block: Array) -> None:
        """Tell the kernel that a region's arrays lie in `block`."""
        self.arguments[region.slots] = region.starts + address(block)

    def place_scratch(self, region: Region, own: Region, kernels: Sequence[str]) -> None:
        """Let a region's arrays lie in scratch memory, to be read by `array` after the call.

        Where threads share some of the `kernels`, those that each has for itself (`own`) follow for each further one.
        """
        self.region, self.own = region, own
        self.members = count_members(max(most_members(self.route, kernel) for kernel in kernels))
        self.block = scratch(region.count + room([own], self.members), self.route.dtype)
        self.place(region, self.block)
        self.set("cleared", region.zeroed)

    def give(self, parameters: Mapping[str, Array], x: Array, lengths: npt.NDArray[np.int64] | None) -> None:
        """Pass the caller's arrays."""
        slots = self.route.layout.slots
        self._give(slots["x"], x)
        if lengths is not None:
            self._give(slots["lengths"], np.ascontiguousarray(lengths, np.int64))
        for name, slot in self.route.parameter_slots:
            if name in parameters:
                self._give(slot, np.ascontiguousarray(parameters[name], self.route.dtype))

    def give_upstream(self, dh: Array) -> None:
        """Pass dL/dh (T, B, H), as it lies where its units are contiguous."""
        dtype, size = self.route.dtype, self.route.dtype.itemsize
        if dh.dtype != dtype or dh.strides[2] != size or dh.strides[0] % size or dh.strides[1] % size:
            dh = np.ascontiguousarray(dh, dtype)
        self._give(self.route.layout.slots["dh"], dh)
        self.set("dh_t", dh.strides[0] // size)
        self.set("dh_b", dh.strides[1] // size)

    def give_outputs(self) -> Array:
        """Have the kernel write h of all steps, 0 past a row's end; return where."""
        sizes = self.route.sizes
        found = _part(
            new_block(sizes.T * sizes.B * sizes.H, self.route.dtype), 0, (sizes.T, sizes.B, sizes.H)
        )
        self._give(self.route.layout.slots["outputs"], found)
        return found

    def give_gradients(self, gradients: Mapping[str, Array]) -> None:
        """Say where the parameters' gradients go."""
        for name, array in gradients.items():
            self.set(f"gradient_of:{name}", address(array))

    def set(self, name: str, value: int) -> None:
        """Set an argument; 0 in an array's place asks that it be left out."""
        self.arguments[self.route.layout.slots[name]] = value

    def array(self, name: str, shape: tuple[int, ...]) -> Array:
        """Return a scratch array."""
        return _part(self.block, self.region.offsets[name], shape)

    def shown(self, name: str, steps: int) -> Array:
        """Return a scratch array of states as (steps, B, H)."""
        return self.route.shown(self.array(name, (steps, *self.route.grid)))

    def run(self, *kernels: str) -> None:
        """Call kernels in order."""
        if self.members > 1 and any(most_members(self.route, kernel) > 1 for kernel in kernels):
            block = self.block[self.region.count :]
            table = Members(self.route, self.arguments, self.members, [self.own], block)
            phases = [phase for kernel in kernels for phase in table.phases(kernel)]
            run_together(Job(phases, self.members, kept=(self.block, self.kept, *table.kept)))
            return
        arguments = address(self.arguments)
        for kernel in kernels:
            for each in variants(self.route, kernel) if self.members > 1 else (kernel,):
                self.route.kernels[each](arguments)

    def _give(self, slot: int, array: Array) -> None:
        self.kept.append(array)
        self.arguments[slot] = address(array)


def _units(plan: CellPlan, parameters: Mapping[str, Array]) -> int:
    """H from any weight: its columns are blocks of H."""
    name, (_, blocks) = next(iter(plan.weights.items()))
    return int(parameters[name].shape[1]) // blocks


def _part(block: Array, offset: int, shape: tuple[int, ...]) -> Array:
    count = 1
    for n in shape:
        count *= n
    return block[offset : offset + count].reshape(shape)


def _outputs(h: Array, active: Array | None) -> Array:
    T, B, H = h.shape[0] - 1, *h.shape[1:]
    shown = h[1:]
    found = _part(new_block(T * B * H, h.dtype), 0, (T, B, H))
    if active is None:
        found[...] = shown
    else:
        found[...] = np.where(active, shown, 0)
    return found
