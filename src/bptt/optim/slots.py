"""What an optimiser remembers, as one flat set of named arrays: for checkpoints, or to look at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bptt.checks import Array
from bptt.errors import InvalidInput
from bptt.optim.optimizer import Slots


def slot_arrays(slots: Slots) -> dict[str, Array]:
    """Return the live arrays of slots by ``slot.parameter``, such as ``m.layers.0.W_xh``.

    Together with the number of updates made, which `Optimizer.update` is told, they are all that an optimiser knows of
    the past: learning-rate schedules and Adam's bias correction depend on that number alone.
    """
    return {f"{slot}.{name}": array for name, held in slots.items() for slot, array in held.items()}


def fill_slots(slots: Slots, arrays: Mapping[str, Array]) -> None:
    """Write what `slot_arrays` returned into slots that `Optimizer.init` made, in place.

    Raises
    ------
    InvalidInput
        Names, shapes or dtypes that differ. Nothing has been overwritten then.
    """
    live = slot_arrays(slots)
    for name in (*live, *arrays):
        if name not in live or name not in arrays:
            lacking = "in the optimiser" if name in arrays else "among them"
            raise InvalidInput(
                f"arrays must be those of the slots: {', '.join(live) or 'none'}. Got no {name} {lacking}: "
                "take the same optimiser and network"
            )
    for name, array in live.items():
        kept = arrays[name]
        if (kept.dtype, kept.shape) != (array.dtype, array.shape):
            raise InvalidInput(
                f"{name} must be {array.dtype} of shape {array.shape}. Got {kept.dtype} of shape {kept.shape}: "
                "take the same optimiser and network"
            )
    for name, array in live.items():
        np.copyto(array, arrays[name])
