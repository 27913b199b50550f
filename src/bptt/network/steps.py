"""The compiled steps of networks, kept from one call to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.engine import get_engine
from bptt.engine.step_design import StepDesign
from bptt.losses import CrossEntropy, Loss
from bptt.losses.pointwise import Pinball, Pointwise
from bptt.network.design import Design
from bptt.network.records import Gradients, LossGradients

Array = npt.NDArray[Any]

# Building a step takes a millisecond, keeping one takes its memory.
_KEPT = 2


class IdleSteps:
    """A network's steps that nobody is playing, newest last; a copied or pickled network starts with none."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def __reduce__(self) -> tuple[type[IdleSteps], tuple[()]]:
        return IdleSteps, ()

    def take(self, engine: Any, design: StepDesign, parameters: dict[str, Array], B: int, T: int) -> Any:
        """Return an idle step of this size, or a new one: two threads never share one."""
        for step in list(self.steps):
            if (step.B, step.T) == (B, T):
                try:
                    self.steps.remove(step)
                except ValueError:  # another thread was faster
                    continue
                if step.fits(design, parameters):
                    return step
        return engine.CompiledStep(design, parameters, B, T)

    def give(self, step: Any) -> None:
        """Take a step back."""
        self.steps.append(step)
        del self.steps[:-_KEPT]


def find_step_engine(net: Design, parameters: Mapping[str, Array]) -> Any | None:
    """Return the engine that has the network's steps as a whole, or None.

    It has them for stacks that run forward in time with a loss of `bptt.losses`. Feedback, both directions, dropout,
    constraints and learned initial states go layer by layer.
    """
    engine, stack = get_engine(net.recurrent.engine), net.recurrent
    whole = (
        hasattr(engine, "CompiledStep")
        and net.dtype in (np.float32, np.float64)
        and stack.direction == "forward"
        and stack.constraint is None
        and not (stack.dropout or net.feedback or net.learned_initial_state)
        and _is_known(net.loss)
        and all(p.dtype == net.dtype and p.flags.c_contiguous and p.size for p in parameters.values())
    )
    return engine if whole else None


def step_design(net: Design) -> StepDesign:
    """Return the settings that a step is compiled for."""
    stack = net.recurrent
    return StepDesign(
        cell=stack.cell,
        prefixes=tuple(stack.prefixes),
        input_size=net.input_size,
        hidden_size=stack.hidden_size,
        output_size=net.output_size,
        every=net.readout == "every",
        loss=net.loss,
        activation=net.output_activation,
        change_of=None if net.change_of is None else tuple(net.change_of),
        change_scale=net.change_scale,
        linear_lags=net.linear_lags,
        dtype=net.dtype,
    )


def step_gradients(
    net: Design,
    parameters: dict[str, Array],
    idle: IdleSteps,
    x: Array,
    y: npt.ArrayLike,
    weights: npt.ArrayLike | None,
) -> LossGradients | None:
    """Return the loss and gradients for x (T, B, D) by a compiled step; None where the network has none.

    Parameters
    ----------
    weights : ndarray (B,) or (B, T), optional
        As for `Loss.scales`.
    """
    engine = find_step_engine(net, parameters)
    if engine is None or x.dtype != net.dtype:
        return None
    T, B, _ = x.shape
    step = idle.take(engine, step_design(net), parameters, B, T)
    step.set_targets(y, weights)
    step.x[...] = x
    loss = step.play()
    found = LossGradients(
        loss,
        Gradients(step.found_gradients(), None, step.initial_gradient()),
        step.predictions(),
        step.final_state(),
    )
    idle.give(step)
    return found


def _is_known(loss: Loss) -> bool:
    if isinstance(loss, CrossEntropy):
        return type(loss) is CrossEntropy
    # A subclass may compute something else.
    return isinstance(loss, Pointwise) and type(loss)._rows in (Pointwise._rows, Pinball._rows)
