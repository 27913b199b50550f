"""Shares of the loss where examples have weights of their own: worked out for some steps, picked up by each.

A batch's weights are divided by their sum, which NumPy adds up as it does for a single step: the bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bptt.engine.compiled.route import KINDS
from bptt.engine.compiled.training.call_list import Call, Control
from bptt.engine.compiled.training.gather_kernels import GATHER, gather_kernel
from bptt.engine.compiled.training.step import CompiledStep
from bptt.engine.compiled.workspace import address
from bptt.engine.step_design import Whole
from bptt.engine.tape import Array
from bptt.errors import BpttError

# Numbers and steps that are worked out ahead.
_NUMBERS, _STEPS = 2**17, 1024


class ScaleRows:
    """What each row's loss is multiplied by, for the next steps.

    Parameters
    ----------
    step : CompiledStep
        Its scales are written at the start of each step, but for the steps that it skips.
    weights_of : callable
        Takes indices (B,), returns the weights of a batch: see `bptt.engine.step_design.Examples`.
    control : Control
        Counts the steps.

    Attributes
    ----------
    call : Call
        What copies the scales of a step into it.
    """

    def __init__(self, step: CompiledStep, weights_of: Callable[[Whole], Array], control: Control) -> None:
        self.step, self.weights_of, self.control = step, weights_of, control
        count = step.rows - step.skipped
        self.scales = np.empty((max(1, min(_STEPS, _NUMBERS // count)), count), step.dtype)
        # A step is one example of the kernel's, and all its scales are one row.
        order = np.arange(len(self.scales), dtype=np.int64)
        values = {"control": control.address, "indices": address(order), "starts": address(order),
                  "source": address(self.scales), "width": count, "T": 1, "B": 1, "end_row": 1,
                  "target": address(step.scales) + step.skipped * step.dtype.itemsize}  # fmt: skip
        self.arguments = np.zeros(len(GATHER), np.int64)
        for name, value in values.items():
            self.arguments[GATHER[name]] = value
        self.call = Call(gather_kernel(KINDS[step.dtype]), self.arguments, (self.scales, order))

    def prepare(self, indices: Whole) -> int:
        """Work out the scales of the next steps; return of how many, at least one of indices (n, B).

        0 where the weights of the next batch are refused, as they are where nothing of it counts.
        """
        self.arguments[GATHER["first"]] = self.control.step
        for k, chosen in enumerate(indices[: len(self.scales)]):
            try:
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    self.scales[k] = self.step.scales_of(self.weights_of(chosen))[self.step.skipped :]
            except BpttError:
                return k
        return min(len(indices), len(self.scales))
