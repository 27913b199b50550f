"""One step of a whole network as a map of its state: s_(t+1) = F(s_t, x_t), with its Jacobian.

s holds every state of every layer, one after the other: all of layer 0 (h, then c), all of layer 1, ... With a loop
closed, what the network predicts from s is (part of) the input of the step, and F depends on s by that way too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import numpy.typing as npt

from bptt.activations import FUNCTIONS
from bptt.checks import Array, check_array
from bptt.diagnostics.exact import FLOAT64, check_network, in_float64
from bptt.engine.blas import one_blas_thread
from bptt.engine.tape import Tape
from bptt.errors import InvalidInput
from bptt.network import Network, StackTape

# Numbers of one array of gradients that are swept back at once.
_BLOCK = 4_000_000


class StepMap:
    """The step of a network, in float64 on the reference engine.

    Parameters
    ----------
    net : Network
        Runs forward in time.
    parameters : mapping, optional
        Used in place of the network's own.
    closed : bool
        Whether each step's input is the prediction made from the state before it. A network with feedback is closed
        as it is, and its x stands beside what is fed back.

    Attributes
    ----------
    size : int
        n, the numbers of s.
    input_size : int
        Columns of x that a step takes from outside.
    """

    def __init__(
        self, net: Network, parameters: Mapping[str, Array] | None = None, *, closed: bool = False
    ) -> None:
        if check_network(net).recurrent.direction != "forward":
            raise InvalidInput(
                "net must run forward in time, so that a step is a map of its state. "
                f"Got direction {net.recurrent.direction!r}"
            )
        self.closed = closed or net.feedback
        if self.closed:
            _check_closed(net)
        self.net, self.parameters = in_float64(net, parameters)
        self.stack = self.net.recurrent
        self.own = {name: self.parameters[name] for name in self.stack.parameters}
        self.H = self.stack.hidden_size
        self.width = self.H * len(self.stack.states)  # of one layer
        self.size = self.width * len(self.stack.prefixes)
        self.input_size = 0 if closed and not net.feedback else net.input_size

    def start(self, state: Mapping[str, npt.ArrayLike] | None, batch: int) -> Array:
        """Return the state (batch, n) before the first step: the given, the learned or zeros."""
        checked = self.stack.check_state("state", state, batch, FLOAT64) or {}
        found = self.stack.zero_state(batch)
        if self.net.learned_initial_state:
            found = {name: found[name] + self.parameters[f"initial.{name}"][:, None] for name in found}
        return self._flat({**found, **checked})

    def value(self, s: Array, x: Array | None = None, *, begins: bool = False) -> Array:
        """Return F(s, x), (N, n), of states (N, n) and inputs (N, input_size).

        Where a sequence `begins`, a network with feedback is fed zeros, not what it would predict from s.
        """
        with one_blas_thread():
            _, after, _ = self.stack.run(
                self._fed(s, x, begins and self.net.feedback)[None],
                self._apart(s),
                None,
                parameters=self.own,
                outputs="last",
                tape=False,
            )
        return self._flat(after)

    def along(self, states: Array, x: Array) -> Array:
        """Return the Jacobians (T, n, n) of a sequence's steps from its states (T, n) and inputs (T, input_size)."""
        if not self.net.feedback:
            return self.around(states, x)
        _, first = self._jacobians(states[:1], x[:1], begins=True)
        return np.concatenate([first, self.around(states[1:], x[1:])])

    def around(self, s: Array, x: Array | None = None) -> Array:
        """Return dF/ds (N, n, n) at states (N, n) alone."""
        return self.jacobians(s, x)[1]

    def jacobians(self, s: Array, x: Array | None = None) -> tuple[Array, Array]:
        """Return F(s, x) (N, n) and dF/ds (N, n, n); ``[k, i, j]`` is d F_i / d s_j at row k."""
        after, found = np.empty_like(s), np.empty((*s.shape, self.size))
        rows = max(1, _BLOCK // self.size**2)
        for first in range(0, len(s), rows):
            part = slice(first, first + rows)
            after[part], found[part] = self._jacobians(s[part], None if x is None else x[part])
        return after, found

    def predict(self, s: Array) -> Array:
        """Return the readout (N, K) of states (N, n)."""
        a_y = s[:, self._top()] @ self.parameters["readout.W_hy"]
        if "readout.b_y" in self.parameters:
            a_y = a_y + self.parameters["readout.b_y"]
        return np.asarray(FUNCTIONS[self.net.output_activation](a_y))

    def run(self, x: Array, s: Array) -> Array:
        """Return the states (T + 1, B, n) of inputs x (T, B, input_size) from states s (B, n), s among them."""
        if self.closed:
            found = [s]
            with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is told by its states
                for t, x_t in enumerate(x):
                    found.append(self.value(found[-1], x_t, begins=t == 0))
            return np.stack(found)
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
            _, _, tape = self.stack.run(x, self._apart(s), None, parameters=self.own, outputs="last")
        tapes = cast(StackTape, tape).tapes
        return np.concatenate([t.states[name] for t in tapes for name in self.stack.states], axis=2)

    def _jacobians(self, s: Array, x: Array | None, *, begins: bool = False) -> tuple[Array, Array]:
        N, n = s.shape
        with one_blas_thread():
            _, after, tape = self.stack.run(
                self._fed(s, x, begins)[None], self._apart(s), None, parameters=self.own, outputs="last"
            )
            # One row of the sweep for each entry of F: the same step n times, from n unit vectors.
            wide = _repeated(cast(StackTape, tape), n)
            swept = self.stack.sweep(
                wide, None, self._apart(np.tile(np.eye(n), (N, 1))), want={"state0", "x"}
            )
        found = self._flat(cast(dict[str, Array], swept.state)).reshape(N, n, n)
        if self.closed and not begins:
            dfed = cast(Array, swept.x)[0].reshape(N, n, -1)[:, :, self.input_size :]
            y_hat = self.predict(s)
            slope = FUNCTIONS[f"{self.net.output_activation}_derivative"](y_hat)
            found[:, :, self._top()] += (dfed * slope[:, None, :]) @ self.parameters["readout.W_hy"].T
        return self._flat(after), found

    def _fed(self, s: Array, x: Array | None, begins: bool = False) -> Array:
        given = np.zeros((len(s), 0)) if x is None else x
        if not self.closed:
            return given
        fed_back = np.zeros((len(s), self.net.output_size)) if begins else self.predict(s)
        return np.concatenate([given, fed_back], axis=1)

    def _top(self) -> slice:
        """Return where the output of the top layer stands in s."""
        first = self.size - self.width
        return slice(first, first + self.H)

    def _flat(self, state: Mapping[str, Array]) -> Array:
        parts = [state[name][k] for k in range(len(self.stack.prefixes)) for name in self.stack.states]
        return np.concatenate(parts, axis=1)

    def _apart(self, s: Array) -> dict[str, Array]:
        by_layer = s.reshape(len(s), len(self.stack.prefixes), len(self.stack.states), self.H)
        return {
            name: np.ascontiguousarray(by_layer[:, :, k].transpose(1, 0, 2))
            for k, name in enumerate(self.stack.states)
        }


def check_drive(name: str, x: npt.ArrayLike | None, step: StepMap) -> Array:
    """Return one step's input (input_size,); zeros where None."""
    if x is None:
        return np.zeros(step.input_size)
    return check_array(name, x, [("D", step.input_size)], dtype=FLOAT64)


def _repeated(tape: StackTape, times: int) -> StackTape:
    """Return the tape of the same step with every row repeated."""
    tapes = tuple(
        Tape(
            each.cell,
            each.parameters,
            np.repeat(each.x, times, axis=1),
            None,
            {name: np.repeat(s, times, axis=1) for name, s in each.states.items()},
            {name: np.repeat(s, times, axis=1) for name, s in each.saved.items()},
        )
        for each in tape.tapes
    )
    return StackTape(tapes, tape.trained, tape.masks, None, tape.steps)


def _check_closed(net: Network) -> None:
    for fits, rule, got in (
        (net.change_of is None, "predict values, not changes", "change_of"),
        (not net.linear_lags, "be without a linear path", f"linear_lags = {net.linear_lags}"),
        (
            net.feedback or net.output_size == net.input_size,
            f"predict its own input, K = D = {net.input_size}",
            f"K = {net.output_size}",
        ),
    ):
        if not fits:
            raise InvalidInput(f"net must {rule}, to be closed to a loop through its state alone. Got {got}")
