"""From a trained network to the closed form over its state and the window beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.features import window_path
from bptt.forecast.features.encoding import Encoding, encode
from bptt.forecast.features.targets import CHUNK, Targets
from bptt.forecast.fitting.networks.decoder import Segmented, decode, read_segments
from bptt.forecast.fitting.networks.members import Lesson, emphasis, run_states
from bptt.forecast.fitting.readouts.ridge_path import Linear, Normal, solve, sums
from bptt.forecast.fitting.readouts.rolling import Walk, join, roll, start_of, states_at
from bptt.forecast.fitting.readouts.segment_path import SegmentSums, segment_sums, solve_segments
from bptt.forecast.panel import Panel
from bptt.network import Network

# What a head reads from: a network, or one with a decoder behind it.
Reader = Network | Segmented


@dataclass(frozen=True, eq=False)
class Parted:
    """Sums of all series, then of each group."""

    parts: tuple[Normal | SegmentSums, ...]

    @property
    def count(self) -> float:
        """Of rows, weighted."""
        return self.parts[0].count


@dataclass(frozen=True, eq=False)
class Grouped:
    """Window and state (n, W + H) of rows, which of so many closed forms is each row's (n,), and how many there are."""

    features: Array
    part: Array
    parts: int


# What the closed form is solved from, and what forecasts are made from after some rows.
Sums = Normal | SegmentSums | Parted
Features = Array | Walk | Grouped

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
    beside : tuple of three floats, optional
        Of a direct head: the penalty of a ridge on the window alone that has a part in the forecast, and what is left
        to the network of the first and of the last step; in between on a line.
    drawn : tuple of two floats, optional
        Of a ridge alone: how much of the change that it forecasts is kept at the first and at the last step, in
        between on a line; the rest is left to its anchor.
    """

    state: float
    window: float
    solved: bool = True
    beside: tuple[float, float, float] | None = None
    drawn: tuple[float, float] | None = None


# The gradient's readout; then all pairs.
STATES = (1e-3, 4e-3, 1.6e-2, 6.4e-2)
WINDOWS = (4e-4, 4e-3, 4e-2, 0.4)
UNSOLVED = Penalty(0.0, np.inf, solved=False)
WITH_NETWORK = (UNSOLVED, *(Penalty(s, w) for s in STATES for w in (*WINDOWS, np.inf)))
WITHOUT_NETWORK = tuple(Penalty(np.inf, w) for w in (*WINDOWS, 4.0))
# Of a recursive head, whose every penalty takes a walk along the horizon.
FEW_WALKS = tuple(Penalty(s, w) for s in STATES[:3] for w in (*WINDOWS[:3:2], np.inf))
# Where there is little to choose by.
FEW_WITH = (Penalty(STATES[2], WINDOWS[1]), Penalty(STATES[2], WINDOWS[2]))
FEW_WITHOUT = (Penalty(np.inf, WINDOWS[1]), Penalty(np.inf, WINDOWS[2]))


@dataclass(frozen=True, eq=False)
class Head:
    """A readout of one network's state and a linear path beside it.

    Attributes
    ----------
    readout : ndarray float64 (H, K) or None
        (H, 1) of a recursive head, (H, L) of the segments'. Those of groups stand beside each other.
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


def normal_equations(encoding: Encoding, lesson: Lesson, net: Reader | None, most_rows: int) -> Sums:
    """Return the sums over the lesson's rows of window and, after it, state; of many rows every nth counts.

    Of series in groups, the sums of all and of each group.
    """
    said = 1 if encoding.head == "recursive" else encoding.horizon
    totals: list[Normal | SegmentSums | None] = [None] * encoding.parts
    for number, h in _states(lesson, net):
        y, weights = lesson.y[number], lesson.weights[number]
        rows = learnt_rows(encoding, lesson, number, most_rows)
        for k in range(0, len(rows), CHUNK):
            chunk = rows[k : k + CHUNK]
            true = y[chunk][:, :said]
            if isinstance(net, Segmented):
                window = window_path.read_window(encoding, lesson.lines[number], chunk)
                states = decode(encoding, net.decoder, h[chunk], lesson.lines[number].local[chunk])
                found: Normal | SegmentSums = segment_sums(
                    window, states, true, weights[chunk], encoding.segment
                )
            else:
                found = sums(_features(encoding, lesson, number, h, chunk), true, weights[chunk])
            part = lesson.lines[number].part
            totals[part] = _added(totals[part], found)
    total = totals[0]
    for each in totals[1:]:
        total = _added(total, each)
    if total is not None:
        return total if encoding.parts == 1 else Parted((total, *(each or total for each in totals[1:])))
    W, H = window_path.features(encoding), 0 if net is None else net.recurrent.hidden_size
    if isinstance(net, Segmented):
        M, L = encoding.segments, encoding.segment
        return segment_sums(
            np.zeros((0, W)), np.zeros((0, M, H)), np.zeros((0, encoding.horizon)), np.zeros(0), L
        )
    size = W + H
    return Normal(np.zeros((size, size)), np.zeros((size, said)), np.zeros(size), np.zeros(said), 0.0)


def _added(a: Normal | SegmentSums | None, b: Normal | SegmentSums | None) -> Normal | SegmentSums | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b  # type: ignore[operator]  # both of one kind


def learnt_rows(encoding: Encoding, lesson: Lesson, number: int, most_rows: int) -> Array:
    """Return the rows of a line that the closed form is solved from."""
    stride, weights = max(1, -(-lesson.rows // most_rows)), lesson.weights[number]
    rows = np.arange(first_full(encoding, len(weights)), len(weights), stride)
    found: Array = rows[weights[rows] > 0]
    return found


def first_full(encoding: Encoding, rows: int) -> int:
    """Return the first row to learn from: with a full window, where that leaves half of the line."""
    return max(min(COLD, rows // 4), min(encoding.window - 1, rows // 2))


def origin_features(encoding: Encoding, origins: Origins, net: Reader | None) -> Features:
    """Return window and state after every origin (n, W + H), line by line; of a decoder all its states.

    Of a recursive head: what a walk from every origin begins with.
    """
    lines, rows = origins.lesson.lines, origins.rows
    if encoding.head == "recursive":
        start = join([start_of(encoding, line, each) for line, each in zip(lines, rows, strict=True)])
        if net is None:
            return Walk(encoding, start, None, {})
        states = [
            states_at(net.recurrent, line.x, each)
            for line, each in zip(lines, rows, strict=True)
            if len(line)
        ]
        state = {name: np.concatenate([each[name] for each in states], axis=1) for name in states[0]}
        return Walk(encoding, start, net.recurrent, state)
    parts: dict[int, Array] = {}
    for number, h in _states(origins.lesson, net):
        if isinstance(net, Segmented):
            line, chosen = lines[number], rows[number]
            window = window_path.read_window(encoding, line, chosen)
            decoded = decode(encoding, net.decoder, h[chosen], line.local[chosen])
            # Of a line too short for validation there is none.
            flat = decoded.reshape(len(chosen), decoded.shape[1] * decoded.shape[2])
            parts[number] = np.concatenate([window, flat], axis=1)
        else:
            parts[number] = _features(encoding, origins.lesson, number, h, rows[number])
    # Those of one line are not copied: of many rows that takes as long as reading them did.
    found = parts[0] if len(parts) == 1 else np.concatenate([parts[number] for number in sorted(parts)])
    if encoding.parts == 1:
        return found
    part = [np.full(len(parts[number]), lines[number].part) for number in sorted(parts)]
    return Grouped(found, np.concatenate(part), encoding.parts)


def make_head(encoding: Encoding, normal: Sums, net: Reader | None, penalty: Penalty) -> Head:
    """Return the head that a penalty leads to; those of groups beside each other, after that of all."""
    if isinstance(normal, Parted):
        heads = [make_head(encoding, each, net, penalty) for each in normal.parts]
        readouts = [head.readout for head in heads if head.readout is not None]
        return Head(
            np.concatenate(readouts, axis=1) if readouts else None,
            Linear(
                np.concatenate([head.linear.weights for head in heads], axis=1),
                np.concatenate([head.linear.intercept for head in heads]),
            ),
        )
    width = window_path.features(encoding)
    drift = encoding.level == "own"
    if penalty.beside is not None:
        own = make_head(encoding, normal, net, replace(penalty, beside=None))
        ridge = make_head(encoding, normal, net, Penalty(np.inf, penalty.beside[0])).linear
        share = np.linspace(*penalty.beside[1:], encoding.horizon)
        mixed = [
            share * a + (1 - share) * b
            for a, b in ((own.linear.weights, ridge.weights), (own.linear.intercept, ridge.intercept))
        ]
        return Head(None if own.readout is None else share * own.readout, Linear(*mixed))
    if penalty.drawn is not None:
        plain = make_head(encoding, normal, net, replace(penalty, drawn=None)).linear
        share = np.linspace(*penalty.drawn, encoding.horizon)
        return Head(None, Linear(share * plain.weights, share * plain.intercept))
    if isinstance(normal, SegmentSums):
        return Head(*solve_segments(normal, penalty.state, penalty.window, drift=drift))
    if not penalty.solved:
        assert net is not None
        assert net.output_size == encoding.outputs
        near = emphasis(encoding.outputs)
        readout = net.parameters["readout.W_hy"].astype(np.float64) / near
        intercept = net.parameters["readout.b_y"].astype(np.float64) / near
        return Head(readout, Linear(np.zeros((width, encoding.outputs)), intercept))
    states = 0 if net is None else net.recurrent.hidden_size
    penalties = np.concatenate([np.full(width, penalty.window), np.full(states, penalty.state)])
    found = solve(normal, penalties, drift=drift)
    window = Linear(found.weights[:width], found.intercept)
    return Head(found.weights[width:] if states and np.isfinite(penalty.state) else None, window)


def head_forecast(head: Head, features: Features) -> Array:
    """Return forecasts (n, K) from window and state (n, W + H), or by walks, in the network's units."""
    return mean_forecast([head], [features])


def mean_forecast(heads: Sequence[Head], features: Sequence[Features]) -> Array:
    """Return the mean of the members' forecasts (n, K), in the network's units."""
    walks = [each for each in features if isinstance(each, Walk)]
    if walks:
        readouts = [head.readout for head in heads if head.readout is not None]
        return roll(walks, readouts, mean_linear([head.linear for head in heads]))
    found = [
        _one_forecast(head, each)
        for head, each in zip(heads, features, strict=True)
        if not isinstance(each, Walk)
    ]
    mean: Array = np.mean(found, axis=0)
    return mean


def mean_linear(linears: Sequence[Linear]) -> Linear:
    """Return the mean of linear paths over the same window."""
    return Linear(
        np.mean([each.weights for each in linears], axis=0),
        np.mean([each.intercept for each in linears], axis=0),
    )


def _one_forecast(head: Head, features: Array | Grouped) -> Array:
    if isinstance(features, Grouped):
        return _by_groups(head, features)
    width = len(head.linear.weights)
    y_hat, states = head.linear(features[:, :width]), features[:, width:]
    if head.readout is None:
        return y_hat
    if states.shape[1] == len(head.readout):
        y_hat += states @ head.readout
        return y_hat
    # The states of a decoder, segment by segment.
    decoded = states.reshape(len(states), -1, len(head.readout))
    return y_hat + read_segments(decoded, head.readout, y_hat.shape[1])


def _by_groups(head: Head, rows: Grouped) -> Array:
    K = len(head.linear.intercept) // rows.parts
    found = np.zeros((len(rows.part), K))
    for number in np.unique(rows.part):
        readout = None if head.readout is None else head.readout[:, number * K : (number + 1) * K]
        own = Head(readout, head.linear.part(int(number), rows.parts))
        found[rows.part == number] = _one_forecast(own, rows.features[rows.part == number])
    return found


def _states(lesson: Lesson, net: Reader | None):  # type: ignore[no-untyped-def]  # pairs of number and (T, H) or None
    if net is None:
        return ((number, None) for number in range(len(lesson.lines)))
    stack = net.net if isinstance(net, Segmented) else net
    return ((number, h) for number, h, _ in run_states(stack, [line.x for line in lesson.lines]))


def _features(encoding: Encoding, lesson: Lesson, number: int, h: Array | None, rows: Array) -> Array:
    if h is None:
        return window_path.read_window(encoding, lesson.lines[number], rows)
    found = window_path.read_window(encoding, lesson.lines[number], rows, room=h.shape[1])
    found[:, found.shape[1] - h.shape[1] :] = h[rows]
    return found
