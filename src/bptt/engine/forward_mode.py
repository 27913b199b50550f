"""Derivatives of a formula that states none: forward-mode numbers, by the complex step.

For an elementwise f and a tiny e, imag(f(a + i e)) / e is f'(a) to rounding, with no subtraction to lose digits
(Squire and Trapp 1998). One evaluation per input; a hand-written backward is several times cheaper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.cells.plan import StagePlan
from bptt.errors import InvalidType

Array = npt.NDArray[Any]

# Far below sqrt(eps) * a for any a that matters, and its square far below the rounding of 1.
STEP = 1e-20


def pull_back(stage: StagePlan, arguments: list[Any], gradients: Mapping[str, Array]) -> dict[str, Array]:
    """Return d + name for each differentiable argument of a stage's forward.

    Parameters
    ----------
    stage : StagePlan
    arguments : list
        Values of the forward's arguments, in order.
    gradients : mapping of result name to ndarray (B, H)
        dL/d(result); results without an entry have gradient 0.
    """
    found: dict[str, Array] = {}
    given = [a for a in arguments if not callable(a)] + list(gradients.values())
    shape = np.broadcast_shapes(*(np.shape(a) for a in given))
    for source in stage.differentiable:
        k = stage.inputs.index(source)
        shifted = list(arguments)
        real = np.asarray(arguments[k])
        if real.dtype.kind == "c":
            raise InvalidType(
                "a cell without a backward must be swept back in real arithmetic. Got complex states"
            )
        shifted[k] = np.broadcast_to(real, shape) + 1j * np.array(STEP, real.dtype)
        total = np.zeros(shape, real.dtype)
        for name, result in zip(stage.forward.results, stage.forward(*shifted), strict=True):
            if name in gradients and np.iscomplexobj(result):
                total += gradients[name] * (np.imag(result) / real.dtype.type(STEP))
        found[f"d{source.name}"] = total
    return found
