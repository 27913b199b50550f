"""Many training steps in one compiled call, where the engine has them: see docs/engine.md.

The step-by-step path gives the same bits: `Network.loss_and_gradients` plays the same compiled step, and NumPy's
clipping and updates round as the compiled ones do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.data.examples.batch import Indices, Source
from bptt.data.examples.resident import find_resident
from bptt.engine.step_design import Examples, UpdateRule
from bptt.losses import CrossEntropy
from bptt.losses.pointwise import Pointwise
from bptt.network import Network
from bptt.network.steps import find_step_engine, step_design
from bptt.optim import ClipNorm, Clipping, ClipValue, Optimizer, Penalty, Slots
from bptt.optim.clipping import limit_each, shrink
from bptt.optim.norms import LANES, SAFE
from bptt.optim.selection import selected

# One call should take about this long (seconds): Ctrl-C is heard, and the progress bar moves, between two calls.
_CALL_SECONDS = 0.05
_MOST_STEPS = 4096
# Functions of which the compiled form gives NumPy's bits.
_EXACT = {"sqrt", "step", "relu"}


def find_fused(
    net: Network,
    source: Source,
    optimizer: Optimizer,
    slots: Slots,
    clip: Clipping | None,
    penalties: tuple[Penalty, ...],
    before: Mapping[str, Array],
    total: int,
    first: int = 0,
) -> Fused | None:
    """Return the fused steps of a run, or None where it has to go step by step.

    Parameters
    ----------
    before : mapping of name to ndarray
        Where each update keeps the parameters as they were.
    total : int
        Steps of the run.
    first : int
        Steps of it that were made before.
    """
    engine = find_step_engine(net, net.parameters)
    if engine is None or type(clip) not in (type(None), ClipNorm, ClipValue):
        return None
    if type(optimizer).update is not Optimizer.update or not _wrote_last(
        type(optimizer), "groups", "constants"
    ):
        return None
    if type(net).loss_and_gradients is not Network.loss_and_gradients or optimizer.formula.called - _EXACT:
        return None
    # NumPy refuses to write some arrays, and others it rounds to their own dtype.
    held = [array for name in net.parameters for array in slots[name].values()]
    if not all(a.dtype == net.dtype and a.flags.carray for a in (*net.parameters.values(), *held)):
        return None
    # The sum is written in `add`, which a penalty of the user's own may redefine.
    if any(type(each).add is not Penalty.add or each.formula.called - _EXACT for each in penalties):
        return None
    examples = _examples(net, source)
    if examples is None:
        return None
    rule = UpdateRule(
        formula=optimizer.formula,
        slots=optimizer.slot_names,
        groups=optimizer.groups(tuple(net.parameters)),
        shrink=shrink if isinstance(clip, ClipNorm) else None,
        limit=limit_each if isinstance(clip, ClipValue) else None,
        bound=_bound(clip),
        lanes=LANES,
        safe=SAFE,
        penalties=tuple(
            (each.formula, each.strength, tuple(selected(each.pattern, net.parameters))) for each in penalties
        ),
    )
    steps = engine.CompiledTraining(step_design(net), net.parameters, examples, rule, slots, before, total)
    steps.begin_at(first)
    return Fused(steps, optimizer, rule.groups, total)


class Fused:
    """The compiled steps of one run.

    Attributes
    ----------
    rates : ndarray (total,), float64
        Learning rates of the steps made.
    """

    def __init__(
        self, steps: Any, optimizer: Optimizer, groups: tuple[tuple[str, ...], ...], total: int
    ) -> None:
        self.steps, self.optimizer, self.groups = steps, optimizer, groups
        self.UNUSUAL, self.OVERFLOW = steps.UNUSUAL, steps.OVERFLOW
        self.losses: Array = steps.losses
        self.norms: Array = steps.norms
        self.rates = np.empty(total)
        self._steady = optimizer.steady and all(
            _wrote_last(type(optimizer), "steady", method) for method in ("constants", "rate")
        )
        self._seconds_a_step = _CALL_SECONDS  # so that the first call makes one step

    @property
    def made(self) -> int:
        """Whole steps made."""
        return int(self.steps.made)

    @property
    def flag(self) -> int:
        """Why the last call stopped; 0 where it did not."""
        return int(self.steps.flag)

    def fits(self, net: Network) -> bool:
        """Whether the network still is what the steps were made for: a callback may have replaced something."""
        return bool(self.steps.fits(step_design(net), net.parameters))

    def skip(self) -> None:
        """Count a step that was made otherwise."""
        self.steps.skip()

    def play(self, block: Indices, most: int) -> int:
        """Make up to `most` steps with the next rows of a block; return 0, or why the list stopped before its end.

        Parameters
        ----------
        block : ndarray (n, B)
            The first row belongs to the next step.
        """
        count = min(most, len(block), max(1, int(_CALL_SECONDS / self._seconds_a_step)), _MOST_STEPS)
        first, optimizer = self.made, self.optimizer
        numbers = range(first, first + (1 if self._steady else count))
        self.rates[first : first + count] = [optimizer.rate(step) for step in numbers]
        constants = [[optimizer.constants(step, names[0]) for names in self.groups] for step in numbers]
        if self._steady:
            constants *= count
        begun = time.perf_counter()
        flag = int(self.steps.play(block[:count], constants))
        self._seconds_a_step = max((time.perf_counter() - begun) / max(1, self.made - first), 1e-9)
        return flag


def _wrote_last(kind: type[Optimizer], promise: str, method: str) -> bool:
    """Return whether a class that redefines `method` has also said again what `promise` says of it."""
    mro = kind.__mro__
    first = {name: next(k for k, base in enumerate(mro) if name in vars(base)) for name in (promise, method)}
    return first[promise] <= first[method] or mro[first[promise]] is Optimizer


def _examples(net: Network, source: Source) -> Examples | None:
    """Return where the examples lie; None where step by step has to ask for them, or tells what is wrong with them."""
    found = find_resident(source, net.dtype)
    steps = 1 if found is None or net.readout == "last" else found.length
    if found is None or found.x.shape[1] != net.input_size or found.y_length != steps:
        return None
    y, loss, K = found.y, net.loss, net.output_size
    # With one step an axis of time could be taken for none: it shows in a batch.
    shape = (1, steps, K) if net.readout == "every" else (1, K)
    if source.batch(np.zeros(1, np.intp)).y.ndim != len(loss.target_shape(shape)):
        return None
    if isinstance(loss, CrossEntropy):
        if y.ndim != 1 or y.dtype != np.int64 or K < 2 or ((y < 0) | (y >= K)).any():
            return None
    else:
        assert isinstance(loss, Pointwise)
        if y.ndim != 2 or y.dtype != net.dtype or loss.target_shape((1, K)) != (1, y.shape[1]):
            return None
        y = np.ascontiguousarray(loss.beside_outputs(y))
    return Examples(
        found.x,
        found.x_starts,
        found.length,
        y,
        found.y_starts,
        found.y_length,
        found.weights,
        found.weights_of,
    )


def _bound(clip: Clipping | None) -> float:
    match clip:
        case ClipNorm(max_norm=bound) | ClipValue(limit=bound):
            return bound
        case _:
            return 0.0
