"""The compiled steps of networks, kept from one call to the next."""

from __future__ import annotations

import numpy.typing as npt

from bptt.network.design import Design
from bptt.network.records import Gradients, LossGradients
from bptt.network.step import Array, Step, can_step

# Building a step takes a millisecond, keeping one takes its memory.
_KEPT = 2


class IdleSteps:
    """A network's steps that nobody is playing, newest last; a copied or pickled network starts with none."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def __reduce__(self) -> tuple[type[IdleSteps], tuple[()]]:
        return IdleSteps, ()

    def take(self, net: Design, parameters: dict[str, Array], B: int, T: int) -> Step:
        """Return an idle step of this size, or a new one: two threads never share one."""
        for step in list(self.steps):
            if (step.B, step.T) == (B, T):
                try:
                    self.steps.remove(step)
                except ValueError:  # another thread was faster
                    continue
                if step.fits(net, parameters):
                    return step
        return Step(net, parameters, B, T)

    def give(self, step: Step) -> None:
        """Take a step back."""
        self.steps.append(step)
        del self.steps[:-_KEPT]


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
    if x.dtype != net.dtype or not can_step(net, parameters):
        return None
    T, B, _ = x.shape
    step = idle.take(net, parameters, B, T)
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
