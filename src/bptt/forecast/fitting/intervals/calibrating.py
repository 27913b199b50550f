"""Intervals around a trained forecaster, from errors on rows that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoded, Encoding
from bptt.forecast.fitting.choices.held_out import HeldOut
from bptt.forecast.fitting.intervals.bounds import Intervals
from bptt.forecast.fitting.intervals.conformal import fit_intervals
from bptt.forecast.fitting.intervals.moments import moment, unrest_floor
from bptt.forecast.fitting.intervals.normal_errors import fit_normal
from bptt.forecast.fitting.readouts.heads import encode_panel
from bptt.forecast.fitting.trained import Trained
from bptt.forecast.panel import Panel


def calibrate(trained: Trained, panel: Panel, held_out: Sequence[HeldOut], kind: str) -> Intervals:
    """Return "conformal" or "gaussian" intervals, as wide as held-out errors say by the moment of the forecast.

    With "none" there are none, and nothing is looked at.
    """
    encoding = trained.encoding
    calendar, K = encoding.calendar, encoding.horizon
    width = 3 + sum(calendar.slots)
    if kind == "none":
        return Intervals.none(width, K)
    floor = unrest_floor(encode_panel(encoding, panel).lines)
    missed = [part for each in held_out for part in _in_one_unit(encoding, panel, each)]
    features = [moment(calendar, floor, line, rows) for line, rows, _ in missed]
    errors = [each for _, _, each in missed]
    made = fit_normal if kind == "gaussian" else fit_intervals
    return made(
        np.concatenate([np.zeros((0, width)), *features]),
        np.concatenate([np.zeros((0, K)), *errors]),
        floor,
        calendar.slots,
    )


def _in_one_unit(encoding: Encoding, panel: Panel, part: HeldOut) -> list[tuple[Encoded, Array, Array]]:
    """Return lines, rows and errors in the units of the forecaster that is trained on all rows.

    A part was forecast, and scaled, by what came from the other rows alone: of a series that grows, or whose level
    moved, these have another deviation.
    """
    found = []
    for line, rows, errors, whole in zip(part.lines, part.rows, part.errors, panel, strict=True):
        ratio = line.scale / encoding.scale_of(whole)[1]
        found.append((replace(line, z=line.z * ratio), rows, errors * ratio))
    return found
