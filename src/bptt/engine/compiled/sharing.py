"""Which kernels of a call several threads share, and how their work is cut."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bptt.engine.compiled.machine_code import Kernel
from bptt.engine.compiled.route import Region, Route
from bptt.engine.compiled.team import Phase, run_together
from bptt.engine.compiled.workspace import Array, address
from bptt.engine.threads import get_threads

# Pieces for each thread where work can be cut at will: the last ones then even out what the cores are slower or faster.
PIECES = 2


# A step's kernels in which every thread has a block of the units, in place of those for rows.
_BY_UNITS: dict[str, tuple[str, ...]] = {
    "pack_forward": ("pack_forward_units",),
    "forward_rows": ("forward_units",),
    "pack_backward": ("clear_backward",),
    "backward_rows": ("pack_backward_units", "backward_units"),
}


def count_members(route: Route, kernels: Sequence[str]) -> int:
    """Return how many threads should run these kernels: decided by the amount of work, never by timing."""
    most = max(route.blocks, *(_pieces(route, kernel) for kernel in kernels))
    return 1 if most == 1 else min(get_threads(), most)


def run_shared(
    route: Route,
    kernels: Sequence[str],
    members: int,
    arguments: npt.NDArray[np.int64],
    own: Region,
    block: Array,
) -> None:
    """Run kernels in order, the large ones shared.

    Parameters
    ----------
    members : int
        At least 2.
    own, block : Region, ndarray
        The arrays that each thread has for itself, and room for those of every member but the first.
    """
    if route.blocks > 1:
        kernels = [each for kernel in kernels for each in _BY_UNITS.get(kernel, (kernel,))]
    phases = {kernel: _phase(route, kernel, members) for kernel in kernels}
    shared = [k for k, kernel in enumerate(kernels) if phases[kernel].pieces > 1]
    first, last = (shared[0], shared[-1] + 1) if shared else (len(kernels), len(kernels))
    while shared and first and kernels[first - 1] not in route.splits:
        first -= 1  # a short kernel is run by whoever comes first, while the others wake up
    _run(route, kernels[:first], arguments)
    if shared:
        table = np.repeat(arguments[None], members, axis=0)
        table[:, route.layout.slots["blocks"]] = min(members, route.blocks)
        for k in range(1, members):
            table[k, own.slots] = own.starts + address(block[(k - 1) * own.count :])
        run_together([phases[kernel] for kernel in kernels[first:last]], table, [block])
    _run(route, kernels[last:], arguments)


def _run(route: Route, kernels: Sequence[str], arguments: npt.NDArray[np.int64]) -> None:
    for kernel in kernels:
        route.kernels[kernel](address(arguments))


def _pieces(route: Route, kernel: str) -> int:
    return route.splits[kernel].pieces if kernel in route.splits else 1


def _phase(route: Route, kernel: str, members: int) -> Phase:
    """Cut a kernel's work into pieces: a block or a tile each, or a few for each thread."""
    at = _address(route.kernels[kernel])
    if kernel.endswith("_units"):
        stages = len(route.layout.plan.stages)
        rounds = {"forward_units": route.sizes.T * stages, "backward_units": route.sizes.T * stages + 1}
        slot = route.layout.slots["first_block"]
        return Phase(at, slot, 1, min(members, route.blocks), rounds.get(kernel, 1))
    split = route.splits.get(kernel, route.splits["forward_rows"])
    step = split.step
    if _pieces(route, kernel) == 1:
        step = split.end
    elif kernel not in ("forward_rows", "backward_rows"):
        step *= -(-split.pieces // (PIECES * members))
    return Phase(at, split.slot, max(step, 1), max(split.end, 1))


def _address(kernel: Kernel) -> int:
    return ctypes.cast(kernel, ctypes.c_void_p).value or 0  # type: ignore[arg-type]  # a ctypes function
