"""What is called after every step, and what it is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from bptt.errors import InvalidType
from bptt.network import Network
from bptt.training.watching.history import History


@dataclass(frozen=True, eq=False, slots=True)
class Event:
    """One step of training, after its update.

    Attributes
    ----------
    step : int
        The update, counted from 0.
    total_steps : int
        Updates planned; early stopping may end the run before.
    loss : float
        Of the step's batch, before the update, without penalties.
    gradient_norm : float
        Global norm, before clipping.
    learning_rate : float
    net : Network
        Being trained: look, do not touch.
    validation_loss : float or None
        After the update, where this step was evaluated.
    """

    step: int
    total_steps: int
    loss: float
    gradient_norm: float
    learning_rate: float
    net: Network
    validation_loss: float | None


# A function, or an object with __call__. Where it has a method `finish(history)`, that is called once, however the
# run ends. An exception ends the run, with the weights of the last whole step. One that has `looks_at_net = False`
# promises not to read `event.net`: many steps may then be made in one compiled call, and told of afterwards. One that
# has `looks_every = n` promises to read it only where ``event.step + 1`` is a multiple of n, and after the last step.
Callback = Callable[[Event], object]


def check_callbacks(callbacks: Iterable[Callback]) -> tuple[Callback, ...]:
    """Return the callbacks as a tuple, each of them callable."""
    if not isinstance(callbacks, Iterable):
        raise InvalidType(f"callbacks must be a sequence of callables. Got {callbacks!r}")
    found = tuple(callbacks)
    for each in found:
        if not callable(each):
            raise InvalidType(f"callbacks must be callables that take an Event. Got {each!r}")
    return found


def steps_until_look(callbacks: Iterable[Callback], made: int) -> int:
    """Return how many steps may be made, after `made` ones, before one of the callbacks looks at the network."""
    least = sys.maxsize
    for each in callbacks:
        spacing = getattr(each, "looks_every", 1 if getattr(each, "looks_at_net", True) else None)
        if spacing is not None:
            least = min(least, spacing - made % spacing)
    return least


def finish_all(callbacks: Iterable[Callback], history: History) -> None:
    """Call every `finish`, in order, even where one of them raises."""
    with ExitStack() as stack:
        for each in reversed(tuple(callbacks)):
            finish = getattr(each, "finish", None)
            if finish is not None:
                stack.callback(finish, history)
