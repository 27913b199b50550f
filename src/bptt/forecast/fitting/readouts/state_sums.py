"""A network's sums beside those of the window, which are the same for all networks of a lesson."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.features.targets import CHUNK
from bptt.forecast.features.window_path import read_window
from bptt.forecast.fitting.networks.members import Lesson, run_states
from bptt.forecast.fitting.readouts.heads import Parted, Sums, learnt_rows
from bptt.forecast.fitting.readouts.ridge_path import Normal
from bptt.network import Network


@dataclass(frozen=True, eq=False)
class StateSums:
    """Sums over the training rows that a state of H units has a part in.

    Attributes
    ----------
    cross : ndarray float64 (H, W + H)
        Of products with the window and with itself.
    moment : ndarray float64 (H, K)
    total : ndarray float64 (H,)
    """

    cross: Array
    moment: Array
    total: Array

    def __add__(self, other: StateSums) -> StateSums:
        return StateSums(self.cross + other.cross, self.moment + other.moment, self.total + other.total)


def add_states(encoding: Encoding, lesson: Lesson, net: Network, most_rows: int, window: Sums) -> Sums:
    """Return what `normal_equations` does of a network, but for rounding, from the sums of the window alone.

    Parameters
    ----------
    encoding : Encoding
    lesson : Lesson
    net : Network
    most_rows : int
    window : Normal or Parted
        `normal_equations` of the same lesson and the same number of rows, without a network.
    """
    said = 1 if encoding.head == "recursive" else encoding.horizon
    found: list[StateSums | None] = [None] * encoding.parts
    for number, h, _ in run_states(net, [line.x for line in lesson.lines]):
        line = lesson.lines[number]
        rows = learnt_rows(encoding, lesson, number, most_rows)
        for first in range(0, len(rows), CHUNK):
            chunk = rows[first : first + CHUNK]
            states = h[chunk].astype(np.float64)
            read, y = read_window(encoding, line, chunk), lesson.y[number][chunk][:, :said]
            weighted = (states * lesson.weights[number][chunk][:, None]).T
            cross = np.concatenate([weighted @ read, weighted @ states], axis=1)
            own, before = StateSums(cross, weighted @ y, weighted.sum(axis=1)), found[line.part]
            found[line.part] = own if before is None else before + own
    there = [each for each in found if each is not None]
    if not there:  # no row has a target
        H, W = net.recurrent.hidden_size, len(_whole(window).feature_sum)
        there = [StateSums(np.zeros((H, W + H)), np.zeros((H, said)), np.zeros(H))]
    whole = there[0]
    for each in there[1:]:
        whole = whole + each
    if isinstance(window, Parted):
        # A group without rows has the sums of all, as in `normal_equations`.
        rest = [_joined(a, b or whole) for a, b in zip(window.parts[1:], found[1:], strict=True)]
        return Parted((_joined(window.parts[0], whole), *rest))
    return _joined(window, whole)


def _whole(window: Sums) -> Normal:
    found = window.parts[0] if isinstance(window, Parted) else window
    assert isinstance(found, Normal)
    return found


def _joined(window: object, states: StateSums) -> Normal:
    """Return the sums of window and, after it, state."""
    assert isinstance(window, Normal)
    beside = states.cross[:, : len(window.gram)]
    return Normal(
        np.concatenate([np.concatenate([window.gram, beside.T], axis=1), states.cross]),
        np.concatenate([window.moment, states.moment]),
        np.concatenate([window.feature_sum, states.total]),
        window.target_sum,
        window.count,
    )
