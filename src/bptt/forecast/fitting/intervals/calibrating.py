"""Intervals around a trained forecaster, from errors on rows that were held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
    features = [
        moment(calendar, floor, line, rows)
        for each in held_out
        for line, rows in zip(each.lines, each.rows, strict=True)
    ]
    errors = [e for each in held_out for e in each.errors]
    made = fit_normal if kind == "gaussian" else fit_intervals
    return made(
        np.concatenate([np.zeros((0, width)), *features]),
        np.concatenate([np.zeros((0, K)), *errors]),
        floor,
        calendar.slots,
    )
