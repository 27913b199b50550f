"""Many training steps in one compiled call: batch, forward, loss, backward, clipping and update.

The list of a `bptt.network.step.Step`, with calls before it that pick the batch up from the source's arrays and calls
behind it that clip and update. The step-by-step path gives the same bits: `Network.loss_and_gradients` plays the same
step, and NumPy's clipping and updates round as the compiled ones do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import Array
from bptt.data.batch import Indices, Source
from bptt.data.resident import Resident, find_resident
from bptt.losses import CrossEntropy
from bptt.losses.pointwise import Pointwise
from bptt.network import Network
from bptt.network.step import Step, can_step
from bptt.optim import ClipNorm, Clipping, ClipValue, Optimizer, Slots
from bptt.optim.clipping import limit_each, shrink
from bptt.optim.norms import LANES, SAFE

Whole = npt.NDArray[np.int64]

# One call should take about this long (seconds): Ctrl-C is heard, and the progress bar moves, between two calls.
_CALL_SECONDS = 0.05
_MOST_STEPS = 4096


def find_fused(
    net: Network,
    source: Source,
    optimizer: Optimizer,
    slots: Slots,
    clip: Clipping | None,
    before: Mapping[str, Array],
    total: int,
) -> Fused | None:
    """Return the fused steps of a run, or None where it has to go step by step.

    Parameters
    ----------
    before : mapping of name to ndarray
        Where each update keeps the parameters as they were.
    total : int
        Steps of the run.
    """
    if not can_step(net, net.parameters) or type(clip) not in (type(None), ClipNorm, ClipValue):
        return None
    if type(optimizer).update is not Optimizer.update or not _groups_hold(type(optimizer)):
        return None
    resident = find_resident(source, net.dtype)
    if resident is None:
        return None
    y = _targets(net, resident)
    if y is None:
        return None
    return Fused(net, resident, y, optimizer, slots, clip, before, total)


def _groups_hold(kind: type[Optimizer]) -> bool:
    """Return whether `groups` was written for these `constants`, and not for those of a base class."""
    first = {
        name: next(k for k, base in enumerate(kind.__mro__) if name in vars(base))
        for name in ("groups", "constants")
    }
    return first["groups"] <= first["constants"] or kind.__mro__[first["groups"]] is Optimizer


def _targets(net: Network, resident: Resident) -> Array | None:
    """Return the targets as the loss wants them beside the outputs; None where step by step tells what is wrong."""
    y, loss, K = resident.y, net.loss, net.output_size
    every = net.readout == "every"
    if resident.x.shape[1] != net.input_size or (
        resident.y_length != 1 if not every else resident.length != resident.y_length
    ):
        return None
    if isinstance(loss, CrossEntropy):
        fits = y.ndim == 1 and y.dtype == np.int64 and K >= 2 and not ((y < 0) | (y >= K)).any()
        return y if fits else None
    assert isinstance(loss, Pointwise)
    if y.ndim != 2 or y.dtype != net.dtype or loss.target_shape((1, K)) != (1, y.shape[1]):
        return None
    return np.ascontiguousarray(loss.beside_outputs(y))


class Fused:
    """The compiled steps of one run; see `find_fused`."""

    # Why a list stops within a step, as the kernels say it: a loss or norm that Python must look at, before the update;
    # an update that left the dtype, after which the parameters are to be put back.
    UNUSUAL, OVERFLOW = 1, 2

    def __init__(
        self,
        net: Network,
        resident: Resident,
        y: Array,
        optimizer: Optimizer,
        slots: Slots,
        clip: Clipping | None,
        before: Mapping[str, Array],
        total: int,
    ) -> None:
        from bptt.engine.compiled.call_list import Control

        self.net, self.resident, self.y = net, resident, y
        self.optimizer, self.slots, self.clip, self.before = optimizer, slots, clip, before
        self.control = Control()
        self.losses, self.norms = np.empty(total), np.empty(total)
        self.rates = np.empty(total)
        self._lists: dict[int, _Batches] = {}
        self._seconds_a_step = _CALL_SECONDS  # so that the first call makes one step

    @property
    def made(self) -> int:
        """Whole steps made."""
        return self.control.step

    def skip(self) -> None:
        """Count a step that was made otherwise."""
        self.control.array[0] += 1

    def play(self, block: Indices, most: int) -> int:
        """Make up to `most` steps with the next rows of a block; return 0, or why the list stopped before its end.

        Parameters
        ----------
        block : ndarray (n, B)
            The first row belongs to the next step.
        """
        count = min(most, len(block), max(1, int(_CALL_SECONDS / self._seconds_a_step)), _MOST_STEPS)
        first, B = self.control.step, block.shape[1]
        if B not in self._lists:
            self._lists = {B: _Batches(self, B)}
        indices = np.ascontiguousarray(block[:count], np.int64)
        begun = time.perf_counter()
        flag = self._lists[B].play(indices, first)
        made = max(1, self.control.step - first)
        self._seconds_a_step = max((time.perf_counter() - begun) / made, 1e-9)
        return flag


class _Batches:
    """The list for one batch size."""

    def __init__(self, run: Fused, B: int) -> None:
        from bptt.engine.compiled.call_list import Call, CallList
        from bptt.engine.compiled.update_kernels import NormKernel, UpdateKernel
        from bptt.engine.compiled.workspace import address

        net, resident = run.net, run.resident
        self.run = run
        self.step = Step(net, net.parameters, B, resident.length)
        self.step.share(run.control, run.losses)
        weights = resident.weights
        self.step.set_scales(None if weights is None else np.broadcast_to(weights, (B, resident.length)))
        kind = "float" if net.dtype == np.float32 else "double"
        optimizer, formula = run.optimizer, run.optimizer.formula
        self.update = UpdateKernel(formula, len(optimizer.slot_names))
        self.groups = optimizer.groups(tuple(net.parameters))
        rows = [self._row(name) for name in net.parameters]
        self.table = np.array(rows, np.int64).reshape(len(rows), self.update.columns)
        shrinks = isinstance(run.clip, ClipNorm)
        limits = isinstance(run.clip, ClipValue)
        norm = NormKernel(
            self.update.columns, shrink if shrinks else None, limit_each if limits else None, LANES, SAFE
        )
        self.bound = np.full(1, _bound(run.clip))
        common = {"control": run.control.address, "table": address(self.table), "tensors": len(rows)}
        norm_arguments = _arguments(
            norm.SLOTS,
            {
                **common,
                "losses": address(run.losses),
                "norms": address(run.norms),
                "bound": address(self.bound),
            },
        )
        self.update_arguments = _arguments(self.update.SLOTS, {**common, "rows": len(self.groups)})
        self.gathers = self._gathers(B)
        self.list = CallList(
            [
                *(Call(kernel, arguments) for kernel, arguments in self.gathers),
                *self.step.calls,
                Call(norm.load(kind), norm_arguments),
                Call(self.update.load(kind), self.update_arguments),
            ],
            run.control,
        )

    def _row(self, name: str) -> list[int]:
        from bptt.engine.compiled.workspace import address

        run, p = self.run, self.run.net.parameters[name]
        group = next(k for k, names in enumerate(self.groups) if name in names)
        held = [address(run.slots[name][slot]) for slot in run.optimizer.slot_names]
        return [
            p.size,
            address(p),
            address(self.step.gradients[name]),
            address(run.before[name]),
            group,
            *held,
        ]

    def _gathers(self, B: int) -> list[tuple[Any, Whole]]:
        """Return what picks up the inputs and the targets."""
        from bptt.engine.compiled.gather_kernels import GATHER, gather_kernel
        from bptt.engine.compiled.workspace import address

        step, run, resident = self.step, self.run, self.run.resident
        kind = "float" if step.dtype == np.float32 else "double"
        D, K = step.net.input_size, step.net.output_size
        inputs = {"starts": address(resident.x_starts), "source": address(resident.x), "width": D, "T": step.T,
                  "target": address(step.x), "target_t": B * D, "target_b": D}  # fmt: skip
        wide = 1 if step.classes else step.width
        targets = {"starts": address(resident.y_starts), "source": address(run.y),
                   "width": 1 if step.classes else K, "T": resident.y_length,
                   "target": address(step.y), "target_t": B * wide, "target_b": wide}  # fmt: skip
        common = {"control": run.control.address, "B": B}
        return [
            (gather_kernel(kind), _arguments(GATHER, {**inputs, **common})),
            # 64-bit labels are copied as what has the same size.
            (gather_kernel("double" if step.classes else kind), _arguments(GATHER, {**targets, **common})),
        ]

    def play(self, indices: Whole, first: int) -> int:
        """Make one step for each row of `indices`, which belongs to step `first` and those after it."""
        from bptt.engine.compiled.gather_kernels import GATHER
        from bptt.engine.compiled.workspace import address

        run, optimizer = self.run, self.run.optimizer
        steps = range(first, first + len(indices))
        run.rates[first : first + len(indices)] = [optimizer.rate(step) for step in steps]
        numbers = [[optimizer.constants(step, names[0]) for names in self.groups] for step in steps]
        with np.errstate(over="ignore"):
            constants = np.array(numbers, run.net.dtype)
        for _, arguments in self.gathers:
            arguments[GATHER["indices"]] = address(indices)
            arguments[GATHER["first"]] = first
        self.update_arguments[self.update.SLOTS["constants"]] = address(constants)
        self.update_arguments[self.update.SLOTS["first"]] = first
        return self.list.play(len(indices))


def _bound(clip: Clipping | None) -> float:
    match clip:
        case ClipNorm(max_norm=bound) | ClipValue(limit=bound):
            return bound
        case _:
            return 0.0


def _arguments(slots: Mapping[str, int], values: Mapping[str, int]) -> Whole:
    found = np.zeros(len(slots), np.int64)
    for name, value in values.items():
        found[slots[name]] = value
    return found
