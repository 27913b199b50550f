"""The recursive head: one row at a time, its forecast fed back as if it had been measured.

What else is measured stays as it was seen last; the calendar and what is known ahead move on. The mean of all networks
is fed back, so that they walk one path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.engine.blas import one_blas_thread
from bptt.forecast.features.encoding import Encoded, Encoding, soft
from bptt.forecast.fitting.readouts.ridge_path import Linear
from bptt.forecast.pieces import after
from bptt.network import Recurrent
from bptt.network.records import State

# Origins that walk together.
_TOGETHER = 2048
# Deviations from the newest value beyond which nothing is fed back: least squares may be unstable, and grow for ever.
_FURTHEST = 1e3


@dataclass(frozen=True, eq=False)
class Start:
    """What the walks from n rows begin with.

    Attributes
    ----------
    x : ndarray float64 (n, D)
        Inputs of the row itself.
    z : ndarray float64 (n, R)
        The newest values of the scaled target.
    p : ndarray float64 (n, V, P)
        The newest values of the past columns, scaled and softened.
    local : ndarray datetime64[s] (n,)
        The wall's clock one step after the row.
    known : ndarray float64 (n, K, Q)
        Columns known ahead, of the rows to be forecast.
    """

    x: Array
    z: Array
    p: Array
    local: Array
    known: Array

    def __len__(self) -> int:
        return len(self.x)

    def part(self, rows: slice) -> Start:
        """Return some of the walks."""
        return Start(self.x[rows], self.z[rows], self.p[rows], self.local[rows], self.known[rows])


@dataclass(frozen=True, eq=False)
class Walk:
    """One network's part in walks from many rows: its stack, and the state after each row, (L, n, H); or none."""

    encoding: Encoding
    start: Start
    stack: Recurrent | None
    state: State


def start_of(encoding: Encoding, line: Encoded, rows: Array) -> Start:
    """Return what walks from these rows of a line begin with."""
    last = line.before + rows
    newest = np.arange(-encoding.reach + 1, 1)
    near = np.arange(-encoding.past_window + 1, 1)
    ahead = np.minimum(rows[:, None] + np.arange(1, encoding.horizon + 1), len(line.known) - 1)
    return Start(
        line.x[rows],
        line.z[last[:, None] + newest],
        soft(line.p[last[:, None] + near]),
        line.local[rows],
        line.known[ahead],
    )


def join(starts: Sequence[Start]) -> Start:
    """Return several under each other."""
    names = ("x", "z", "p", "local", "known")
    return Start(*(np.concatenate([getattr(each, name) for each in starts]) for name in names))


def states_at(stack: Recurrent, x: Array, rows: Array) -> State:
    """Return the whole state (L, n, H) after some rows of a line's inputs (T, D), from zeros at the first."""
    inputs, state, _ = stack.check_inputs(x[None], None, None, copy=False)
    with one_blas_thread():
        _, _, tape = stack.run(inputs, state, None)
    assert tape is not None
    return {
        name: np.stack([layer.states[name][rows + 1, 0] for layer in tape.tapes]) for name in stack.states
    }


def roll(walks: Sequence[Walk], readouts: Sequence[Array], linear: Linear) -> Array:
    """Return forecasts (n, K) in the network's units: changes from the anchor by their usual size.

    Parameters
    ----------
    walks : sequence of Walk
        Of each network, all from the same rows; one without a stack where there is only the linear path.
    readouts : sequence of ndarray (H, 1)
        Of each network that has a stack; their mean counts.
    linear : Linear
        Of the window, (W, 1).
    """
    n, encoding = len(walks[0].start), walks[0].encoding
    parts = [_roll_some(walks, readouts, linear, slice(k, k + _TOGETHER)) for k in range(0, n, _TOGETHER)]
    return np.concatenate(parts) if parts else np.zeros((0, encoding.horizon))


def _roll_some(walks: Sequence[Walk], readouts: Sequence[Array], linear: Linear, rows: slice) -> Array:
    encoding = walks[0].encoding
    start = walks[0].start.part(rows)
    K, R, n = encoding.horizon, encoding.reach, len(start)
    stacks = [walk.stack for walk in walks if walk.stack is not None]
    states = [
        {name: array[:, rows].copy() for name, array in walk.state.items()} for walk in walks if walk.stack
    ]
    z = np.concatenate([start.z, np.zeros((n, K))], axis=1)
    p, x = start.p, start.x
    back, size = int(encoding.anchors()[0]), float(encoding.target[0])
    low, high = start.z[:, -1] - _FURTHEST, start.z[:, -1] + _FURTHEST
    with one_blas_thread():
        for j in range(K):
            newest = R - 1 + j
            said = linear(_window(encoding, x, z, p, newest))[:, 0]
            for state, readout in zip(states, readouts, strict=True):
                said = said + (state["h"][-1] @ readout)[:, 0] / len(states)
            z[:, newest + 1] = np.clip(z[:, newest - back] + size * said, low, high)
            if j + 1 == K:
                break
            if encoding.past:
                p = np.concatenate([p[:, 1:], p[:, -1:]], axis=1)
            x = _inputs(encoding, start, z, newest + 1, j + 1)
            for m, stack in enumerate(stacks):
                _, states[m], _ = stack.run(
                    x[None].astype(stack.dtype), states[m], None, outputs="last", tape=False
                )
    base = z[:, R - 1 - encoding.anchors()]
    found: Array = (z[:, R:] - base) / encoding.target
    return found


def _window(encoding: Encoding, x: Array, z: Array, p: Array, newest: int) -> Array:
    """Return what the linear path reads, as `read_window` does (n, W)."""
    parts = [x]
    if encoding.window > 1:
        parts.append(z[:, newest - encoding.window + 1 : newest] - z[:, newest, None])
    if encoding.past_window > 1 and encoding.past:
        parts.append(p[:, :-1].transpose(0, 2, 1).reshape(len(x), -1))
    return np.concatenate(parts, axis=1)


def _inputs(encoding: Encoding, start: Start, z: Array, newest: int, ahead: int) -> Array:
    """Return the inputs of a row that was forecast, `ahead` rows after the start, as `encode` makes them (n, D)."""
    n, P, Q, S = len(start), len(encoding.past), len(encoding.future), len(encoding.static)
    base = 0.0 if encoding.level == "own" else z[:, newest - encoding.window + 1 : newest + 1].mean(axis=1)
    parts = [
        soft(z[:, newest] - base)[:, None],
        np.arcsinh((z[:, newest] - z[:, newest - 1]) / encoding.change[0])[:, None],
        start.p[:, -1],
        np.zeros((n, P + encoding.age)),  # others do not change, and the target's age is none
        encoding.calendar.encode(after(start.local, encoding.step * ahead)),
        start.known[:, ahead].reshape(n, Q) if encoding.ahead else np.zeros((n, 0)),
        start.x[:, start.x.shape[1] - S :],
    ]
    return np.concatenate(parts, axis=1)
