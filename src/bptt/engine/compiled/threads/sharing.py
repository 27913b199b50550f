"""Which kernels several threads share, and how their work is cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bptt.engine.compiled.chunks import TURNS
from bptt.engine.compiled.llvm.machine_code import kernel_address
from bptt.engine.compiled.route import Region, Route
from bptt.engine.compiled.threads.team import Phase
from bptt.engine.compiled.workspace import Array, address
from bptt.engine.threads import get_threads

# Pieces for each thread where work can be cut at will. Each of a weight gradient packs all of da for itself: one.
PIECES = {"weight_gradients": 1, "input_gradient": 2}

# A step's kernels in which every thread has a block of the units, in place of those for rows.
_BY_UNITS: dict[str, tuple[str, ...]] = {
    "pack_forward": ("pack_forward_units",),
    "forward_rows": ("forward_units",),
    "pack_backward": ("clear_backward",),
    "backward_rows": ("pack_backward_units", "backward_units"),
}


def most_members(route: Route, kernel: str) -> int:
    """Return how many threads can share a kernel: 1 if it is not worth it, by the amount of work, never by timing."""
    if kernel in ("forward_rows", "backward_rows") and route.blocks > 1:
        return route.blocks
    return route.splits[kernel].pieces if kernel in route.splits else 1


def variants(route: Route, kernel: str) -> tuple[str, ...]:
    """Return what several threads run in a kernel's place."""
    return _BY_UNITS.get(kernel, (kernel,)) if route.blocks > 1 else (kernel,)


def count_members(most: int) -> int:
    """Return how many threads run what at most so many can share."""
    return 1 if most == 1 else min(get_threads(), most)


class Members:
    """The argument arrays of a layer's threads, which differ in where the arrays lie that each has for itself.

    Parameters
    ----------
    arguments : ndarray of int64
        The caller's array.
    members : int
        At least 2.
    own : sequence of Region
        The arrays that each thread has for itself.
    block : ndarray
        Room for those of every member but the first: `room` numbers.
    """

    def __init__(
        self,
        route: Route,
        arguments: npt.NDArray[np.int64],
        members: int,
        own: Sequence[Region],
        block: Array,
    ) -> None:
        self.route, self.members = route, members
        self.arguments = arguments
        self.table = np.repeat(arguments[None], members, axis=0)
        self.kept = (block, self.table, arguments)
        blocks = members if route.blocks == 1 else min(members, route.blocks)
        self.table[:, route.layout.slots["blocks"]] = blocks
        start = address(block)
        for k in range(1, members):
            for region in own:
                self.table[k, region.slots] = region.starts + start
                start += region.count * route.dtype.itemsize

    def phases(self, kernel: str) -> list[Phase]:
        """Cut a kernel's work: a block or a tile a piece, or a few pieces for each thread."""
        return [self._phase(each) for each in variants(self.route, kernel)]

    def _phase(self, kernel: str) -> Phase:
        route = self.route
        at, arguments = kernel_address(route.kernels[kernel]), address(self.table)
        apart = self.table.strides[0]
        if kernel.endswith("_units"):
            stages = len(route.layout.plan.stages)
            rounds = {"forward_units": route.sizes.T * stages, "backward_units": route.sizes.T * stages + 1}
            slot, blocks = route.layout.slots["first_block"], min(self.members, route.blocks)
            return Phase(at, arguments, apart, slot, 1, blocks, rounds.get(kernel, 1))
        if most_members(route, kernel) == 1:
            # With the caller's array: those of the table hold the range of the last piece that a thread took.
            return Phase(at, address(self.arguments))
        split = route.splits[kernel]
        if kernel == "backward_chunks":
            turn = kernel_address(route.kernels["backward_turn"])
            return Phase(turn, arguments, apart, split.slot, 1, self.members, TURNS * route.chunks)
        step = split.step
        if kernel in PIECES:
            step *= -(-split.end // (step * PIECES[kernel] * self.members))
        return Phase(at, arguments, apart, split.slot, step, split.end)


def room(own: Sequence[Region], members: int) -> int:
    """Return the numbers that `Members` needs."""
    return (members - 1) * sum(region.count for region in own)
