"""Panels and forecasts as the jobs need them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from bptt.checks import Array
from bptt.forecast import Forecaster
from bptt.forecast.fitting.trained import forecast_line
from bptt.forecast.panel import Line, Panel

HOUR = np.timedelta64(3600, "s")


class Absent(Exception):
    """A data file that is not on this machine."""


def data_file(name: str) -> Path:
    """Return a file below the folder that BPTT_DATA_DIR names, or below `shared/data` beside the project."""
    named = os.environ.get("BPTT_DATA_DIR")
    folders = [Path(named)] if named else []
    folders.append(Path(__file__).resolve().parents[2].parent / "shared" / "data")
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise Absent(f"{name} is in none of {', '.join(map(str, folders))}: set BPTT_DATA_DIR")


def hourly_line(name: str, start: np.datetime64, y: Array) -> Line:
    """Return a line of hours without columns beside the target."""
    times = start + np.arange(len(y)) * HOUR
    nothing = np.zeros((len(y), 0))
    return Line(name, times, times, np.array(y), nothing, nothing, np.zeros(0))


def hourly_panel(lines: list[Line], target: str = "y") -> Panel:
    """Return the panel of such lines."""
    return Panel(tuple(lines), target, (), (), (), HOUR)


def window_error(model: Forecaster, line: Line, first: int, horizon: int) -> float:
    """Return the mean squared error of all forecasts of `horizon` rows that lie in rows `first` and later."""
    rows = np.arange(first - 1, len(line) - horizon)
    total = 0.0
    for begin in range(0, len(rows), 500):
        some = rows[begin : begin + 500]
        truth = line.y[some[:, None] + np.arange(1, horizon + 1)]
        total += float(((forecast_line(model.fitted.trained, line, some) - truth) ** 2).sum())
    return total / (len(rows) * horizon)
