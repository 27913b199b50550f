"""What the units of each layer do: whether anything can still move them.

The derivative of a unit's output with respect to its own pre-activations is what a gradient is multiplied by on its
way into the unit's weights. It is formed from the cell's equations, so a cell of the user's own is looked at as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.engine.forward_mode import pull_back
from bptt.engine.tape import Tape
from bptt.network import Network, Pass
from bptt.network.windowed import WindowTape

# A unit moves by less than this for a change of 1 in any pre-activation: tanh beyond 0.99, the logistic beyond 0.98.
STUCK = 0.02


@dataclass(frozen=True, eq=False)
class Units:
    """One layer in one direction.

    Attributes
    ----------
    name : str
        "layers.0", "layers.1.reverse".
    saturated : ndarray (H,)
        Share of steps and examples where a unit's output is not 0 and cannot be moved.
    dead : ndarray of bool (H,)
        Units whose output is 0 everywhere, and cannot be moved anywhere.
    """

    name: str
    saturated: Array
    dead: Array


def look_at_units(net: Network, record: Pass) -> tuple[Units, ...]:
    """Return what the units of each layer do in a pass of the reference engine."""
    tapes: list[list[Tape]] = []
    if isinstance(record.tape, WindowTape):
        tapes = [[tape] for tape in record.tape.stack.tapes]
    else:  # with feedback: a tape a step
        tapes = [list(steps) for steps in zip(*(stack.tapes for stack in record.tape.stacks), strict=True)]
    return tuple(
        _look(prefix.rstrip("."), layer) for prefix, layer in zip(net.recurrent.prefixes, tapes, strict=True)
    )


def _look(name: str, tapes: list[Tape]) -> Units:
    moved = np.concatenate([_mobility(tape) for tape in tapes])
    h = np.concatenate([tape.states["h"][1:] for tape in tapes])
    T, B, _ = h.shape
    active = np.ones((T, B), bool)
    if tapes[0].lengths is not None:
        active = np.arange(T)[:, None] < tapes[0].lengths
    moved, h = moved[active], h[active]
    stuck = ~(moved >= STUCK)
    silent = h == 0
    return Units(name, (stuck & ~silent).mean(axis=0), (silent & (moved == 0)).all(axis=0))


def _mobility(tape: Tape) -> Array:
    """Return the largest |dh/d(pre-activation)| over the gates of each unit, (T, B, H)."""
    cell, plan = tape.cell, tape.cell.plan
    H = tape.states["h"].shape[2]
    fixed: dict[str, Any] = {
        **cell.bound_functions,
        **{name: cell.options[name] for name in cell.constants},
        **{name: tape.parameters.get(name, np.zeros(H)) for name in cell.vectors},
    }
    before = {name: states[:-1] for name, states in tape.states.items()}
    after = {**tape.saved, **{name: states[1:] for name, states in tape.states.items()}}
    gradients: dict[str, Any] = {"h": np.ones_like(after["h"])}
    largest = np.zeros_like(after["h"])
    for stage in reversed(plan.stages):
        stated = stage.backward is not None
        arguments = []
        for source in stage.backward_inputs if stated else stage.inputs:
            match source.kind:
                case "column" | "value":
                    arguments.append(after[source.key])
                case "previous":
                    arguments.append(before[source.key])
                case "gradient":
                    arguments.append(gradients.get(source.key, 0.0))
                case _:
                    arguments.append(fixed[source.key])
        if stage.backward is not None:
            found = dict(zip(stage.backward.results, stage.backward(*arguments), strict=True))
        else:
            found = pull_back(stage, arguments, gradients)
        for source in stage.differentiable:
            d = found[f"d{source.name}"]
            if source.kind == "column":
                largest = np.maximum(largest, np.abs(d))
            elif source.kind == "value":
                gradients[source.key] = gradients.get(source.key, 0.0) + d
    return largest
