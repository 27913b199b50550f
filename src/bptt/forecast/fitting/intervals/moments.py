"""What the size of an error may depend on: hour and season, and the unrest of the moment."""

from __future__ import annotations

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.encoding import Encoded
from bptt.forecast.features.window_path import unrest


def moment(calendar: Calendar, floor: Array, line: Encoded, rows: Array) -> Array:
    """Return what the size of an error may depend on, after these rows of a line (n, G)."""
    parts = [np.ones((len(rows), 1))]
    for size, classes in zip(calendar.slots, calendar.classes(line.local[rows]), strict=True):
        parts.append(np.eye(size)[classes])
    newest, mean = unrest(line, rows)
    parts.append(np.stack([np.log(newest + floor[0]), np.log(mean + floor[1])], axis=1))
    return np.concatenate(parts, axis=1)


def unrest_floor(lines: list[Encoded]) -> Array:
    """Return a tenth of the usual unrest, below which all is calm."""
    found = [unrest(line, np.arange(len(line))) for line in lines if len(line)]
    usual = np.array([np.mean(np.concatenate([each[k] for each in found])) for k in range(2)])
    return np.maximum(0.1 * usual, 1e-6)
