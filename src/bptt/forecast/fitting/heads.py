"""From a trained network to the closed form over its state and the window beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.forecast.features import window_path
from bptt.forecast.features.encoding import Encoding, encode
from bptt.forecast.features.targets import CHUNK, Targets
from bptt.forecast.fitting.members import Lesson, run_states
from bptt.forecast.fitting.ridge_path import Linear, Normal, solve, sums
from bptt.forecast.panel import Panel
from bptt.network import Network

# Rows at the beginning of a line after which state and window have not filled up yet.
COLD = 24


@dataclass(frozen=True)
class Penalty:
    """What the closed form is given; relative to the number of rows.

    Attributes
    ----------
    state, window : float
        Of the network's outputs and of the window; inf leaves them out.
    solved : bool
        Whether the readout is solved for at all: else it stays as the gradient left it, and there is no window.
    """

    state: float
    window: float
    solved: bool = True


# The gradient's readout; then all pairs.
STATES = (1e-3, 4e-3, 1.6e-2, 6.4e-2)
WINDOWS = (4e-4, 4e-3, 4e-2, 0.4)
UNSOLVED = Penalty(0.0, np.inf, solved=False)
WITH_NETWORK = (UNSOLVED, *(Penalty(s, w) for s in STATES for w in (*WINDOWS, np.inf)))
WITHOUT_NETWORK = tuple(Penalty(np.inf, w) for w in (*WINDOWS, 4.0))
# Where there is little to choose by.
FEW_WITH = (Penalty(STATES[2], WINDOWS[1]), Penalty(STATES[2], WINDOWS[2]))
FEW_WITHOUT = (Penalty(np.inf, WINDOWS[1]), Penalty(np.inf, WINDOWS[2]))


@dataclass(frozen=True, eq=False)
class Head:
    """A readout of one network's state and a linear path beside it.

    Attributes
    ----------
    readout : ndarray float64 (H, K) or None
    linear : Linear
        Of the window.
    """

    readout: Array | None
    linear: Linear


@dataclass(frozen=True, eq=False)
class Origins:
    """Rows of encoded lines after which a forecast is judged.

    Attributes
    ----------
    lesson : Lesson
        The lines, and what comes after each row.
    rows : list of ndarray int (n_i,)
    """

    lesson: Lesson
    rows: list[Array]

    def truth(self) -> tuple[Array, Array]:
        """Return targets (n, K) and how much of them was seen (n,)."""
        y = [y[rows] for y, rows in zip(self.lesson.y, self.rows, strict=True)]
        weights = [w[rows] for w, rows in zip(self.lesson.weights, self.rows, strict=True)]
        return np.concatenate(y), np.concatenate(weights)


def encode_panel(encoding: Encoding, panel: Panel) -> Lesson:
    """Return all lines encoded, with their targets."""
    lines = [encode(encoding, line) for line in panel]
    y = [Targets(encoding, line) for line in lines]
    return Lesson(lines, y, [each.seen for each in y])


def normal_equations(encoding: Encoding, lesson: Lesson, net: Network | None, most_rows: int) -> Normal:
    """Return the sums over the lesson's rows of window and, after it, state; of many rows every nth counts."""
    stride = max(1, -(-lesson.rows // most_rows))
    total: Normal | None = None
    for number, h in _states(lesson, net):
        y, weights = lesson.y[number], lesson.weights[number]
        rows = np.arange(_first_full(encoding, len(y)), len(y), stride)
        rows = rows[weights[rows] > 0]
        for k in range(0, len(rows), CHUNK):
            chunk = rows[k : k + CHUNK]
            found = sums(_features(encoding, lesson, number, h, chunk), y[chunk], weights[chunk])
            total = found if total is None else total + found
    if total is None:
        size = window_path.features(encoding) + (0 if net is None else net.recurrent.hidden_size)
        K = encoding.horizon
        return Normal(np.zeros((size, size)), np.zeros((size, K)), np.zeros(size), np.zeros(K), 0.0)
    return total


def _first_full(encoding: Encoding, rows: int) -> int:
    """Return the first row to learn from: with a full window, where that leaves half of the line."""
    return max(min(COLD, rows // 4), min(encoding.window - 1, rows // 2))


def origin_features(encoding: Encoding, origins: Origins, net: Network | None) -> Array:
    """Return window and state after every origin (n, W + H), line by line."""
    parts: dict[int, Array] = {}
    for number, h in _states(origins.lesson, net):
        parts[number] = _features(encoding, origins.lesson, number, h, origins.rows[number])
    return np.concatenate([parts[number] for number in sorted(parts)])


def make_head(encoding: Encoding, normal: Normal, net: Network | None, penalty: Penalty) -> Head:
    """Return the head that a penalty leads to."""
    width = window_path.features(encoding)
    if not penalty.solved:
        assert net is not None
        assert net.output_size == encoding.horizon
        readout = net.parameters["readout.W_hy"].astype(np.float64)
        intercept = net.parameters["readout.b_y"].astype(np.float64)
        return Head(readout, Linear(np.zeros((width, encoding.horizon)), intercept))
    states = 0 if net is None else net.recurrent.hidden_size
    ridge = np.concatenate([np.full(width, penalty.window), np.full(states, penalty.state)])
    found = solve(normal, ridge, drift=encoding.level == "own")
    window = Linear(found.weights[:width], found.intercept)
    return Head(found.weights[width:] if states and np.isfinite(penalty.state) else None, window)


def head_forecast(head: Head, features: Array) -> Array:
    """Return forecasts (n, K) from window and state (n, W + H), in the network's units."""
    width = len(head.linear.weights)
    y_hat = head.linear(features[:, :width])
    return y_hat if head.readout is None else y_hat + features[:, width:] @ head.readout


def _states(lesson: Lesson, net: Network | None):  # type: ignore[no-untyped-def]  # pairs of number and (T, H) or None
    if net is None:
        return ((number, None) for number in range(len(lesson.lines)))
    return ((number, h) for number, h, _ in run_states(net, [line.x for line in lesson.lines]))


def _features(encoding: Encoding, lesson: Lesson, number: int, h: Array | None, rows: Array) -> Array:
    window = window_path.read_window(encoding, lesson.lines[number], rows)
    return window if h is None else np.concatenate([window, h[rows].astype(np.float64)], axis=1)
