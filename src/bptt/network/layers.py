"""Layers on one another: the place where directions, layers, states and ragged lengths meet an engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from bptt.cells import Cell
from bptt.checks import Array
from bptt.engine import get_engine
from bptt.engine.tape import WANT, Tape
from bptt.network.constraints import RecurrentConstraint
from bptt.network.dropout import dropout_mask
from bptt.network.records import Gradients, StackTape, State
from bptt.network.reversal import reversal, reverse

DIRECTIONS = {"forward": ("forward",), "reverse": ("reverse",), "bidirectional": ("forward", "reverse")}


class Layers:
    """What `Recurrent` has checked and filled in, and the pass through all of it: time first, without checks."""

    cell: Cell
    input_size: int
    hidden_size: int
    num_layers: int
    direction: str
    dropout: float
    dtype: np.dtype[Any]
    engine: str
    constraint: RecurrentConstraint | None
    prefixes: list[str]
    parameters: dict[str, Array]

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions run, in the order of the outputs."""
        return DIRECTIONS[self.direction]

    @property
    def output_size(self) -> int:
        """H, or 2 H for both directions."""
        return self.hidden_size * len(self.directions)

    @property
    def _recurrent_weights(self) -> set[str]:
        """Bare names of the weights that lead from units to units: those that mask and signs act on."""
        return {name for name, (rows, _) in self.cell.plan.weights.items() if rows == "h"}

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the cell's states, the output first."""
        return self.cell.plan.states

    def state_shape(self, batch: int) -> tuple[int, int, int]:
        """Return (L * directions, B, H), the shape of each state."""
        return (len(self.prefixes), batch, self.hidden_size)

    def run(
        self,
        x: Array,
        state0: State | None,
        lengths: npt.NDArray[np.int64] | None,
        *,
        parameters: Mapping[str, Array] | None = None,
        dropout_key: tuple[int, int] | None = None,
        outputs: str = "all",
        tape: bool = True,
    ) -> tuple[Array | None, State, StackTape | None]:
        """Run the stack on x (T, B, D) without checks; with outputs="last" the top layer's outputs are None."""
        engine = get_engine(self.engine)
        used = self.parameters if parameters is None else parameters
        steps = len(x)
        order = reversal(lengths, steps)
        inputs, top = x, self.num_layers - 1
        finals: list[dict[str, Array]] = []
        tapes: list[Tape] = []
        masks: list[Array | None] = []
        h: Array | None = None
        for layer in range(self.num_layers):
            wanted = outputs if layer == top else "all"
            found: list[Array | None] = []
            for d, direction in enumerate(self.directions):
                k = layer * len(self.directions) + d
                backwards = direction == "reverse"
                h_k, final, tape_k = engine.forward(
                    self.cell,
                    self._of_layer(used, self.prefixes[k]),
                    reverse(inputs, order) if backwards else inputs,
                    None if state0 is None else {name: s[k] for name, s in state0.items()},
                    lengths,
                    outputs=wanted,
                    tape=tape,
                )
                found.append(reverse(h_k, order) if backwards and h_k is not None else h_k)
                finals.append(final)
                if tape_k is not None:
                    tapes.append(tape_k)
            if wanted == "last":
                break
            h = cast(Array, found[0]) if len(found) == 1 else np.concatenate(cast(list[Array], found), axis=2)
            if layer < top:
                mask = None
                if dropout_key is not None and self.dropout:
                    seed, number = dropout_key
                    mask = dropout_mask(
                        h.shape, self.dropout, seed=seed, step=number, layer=layer, dtype=self.dtype
                    )
                    h = h * mask
                masks.append(mask)
                inputs = h
        state = {name: np.stack([final[name] for final in finals]) for name in self.states}
        record = StackTape(tuple(tapes), used, tuple(masks), lengths, steps) if tape else None
        return (h if outputs == "all" else None), state, record

    def sweep(
        self,
        tape: StackTape,
        dh: Array | None,
        dstate: State | None,
        *,
        want: Collection[str] = WANT,
    ) -> Gradients:
        """Sweep back with dh (T, B, H * directions), without checks; x's gradient comes time first."""
        engine = get_engine(self.engine)
        H, n = self.hidden_size, len(self.directions)
        order = reversal(tape.lengths, tape.steps)
        parameters: dict[str, Array] = {}
        states: list[dict[str, Array]] = [{} for _ in self.prefixes]
        for layer in range(self.num_layers - 1, -1, -1):
            if dh is not None and layer < self.num_layers - 1 and tape.masks[layer] is not None:
                dh = dh * tape.masks[layer]
            below = None
            wanted = set(want) - ({"x"} if layer == 0 and "x" not in want else set())
            if layer > 0:
                wanted.add("x")
            for d, direction in enumerate(self.directions):
                k = layer * n + d
                backwards = direction == "reverse"
                dh_k = None if dh is None else dh[:, :, d * H : (d + 1) * H]
                found = engine.backward(
                    tape.tapes[k],
                    reverse(dh_k, order) if backwards and dh_k is not None else dh_k,
                    None if dstate is None else {name: s[k] for name, s in dstate.items()},
                    want=wanted,
                )
                if found.x is not None:
                    dx = reverse(found.x, order) if backwards else found.x
                    below = dx if below is None else below + dx
                for name, gradient in (found.parameters or {}).items():
                    parameters[self.prefixes[k] + name] = self._pull_back(
                        name, tape.trained[self.prefixes[k] + name], gradient
                    )
                states[k] = found.state0 or {}
            dh = below
        state = None
        if "state0" in want:
            state = {name: np.stack([s[name] for s in states]) for name in self.states}
        ordered = {name: parameters[name] for name in tape.trained if name in parameters}
        return Gradients(ordered, dh if "x" in want else None, state)

    def _of_layer(self, parameters: Mapping[str, Array], prefix: str) -> dict[str, Array]:
        """Return one layer's parameters under their bare names, constraints applied."""
        found = {}
        for name, value in parameters.items():
            if name.startswith(prefix) and "." not in name[len(prefix) :]:
                bare = name[len(prefix) :]
                if self.constraint is not None and bare in self._recurrent_weights:
                    value = self.constraint.effective(value)
                found[bare] = value
        return found

    def _pull_back(self, name: str, trained: Array, gradient: Array) -> Array:
        if self.constraint is None or name not in self._recurrent_weights:
            return gradient
        return self.constraint.pull_back(trained, gradient)
