"""Cutting lines and panels in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.panel import Line, Panel


def cut(line: Line, first: int, stop: int, ahead: int = 0) -> Line:
    """Return rows first..stop-1 of a line, with what is known of up to `ahead` rows after them."""
    end = min(stop + ahead, len(line.local))
    return replace(
        line,
        times=line.times[first:stop],
        local=line.local[first:end],
        y=line.y[first:stop],
        past=line.past[first:stop],
        future=line.future[first:end],
    )


def draw_lines(panel: Panel, most: int, seed: int) -> Panel:
    """Return the panel, or of one with more than `most` rows some lines, the longest ones without their oldest rows."""
    if sum(map(len, panel)) <= most:
        return panel
    each = max(most // len(panel), most // 8)
    kept, left = [], most
    for k in np.random.default_rng([seed, 4]).permutation(len(panel)):
        line = panel.lines[int(k)]
        count = min(len(line), each, left)
        if count < min(len(line), each):
            break
        kept.append((int(k), cut(line, len(line) - count, len(line), len(line.local))))
        left -= count
    return replace(panel, lines=tuple(line for _, line in sorted(kept, key=lambda pair: pair[0])))


def after(local: Array, step: np.timedelta64) -> Array:
    """Return the wall's clock one step after each of these times, datetime64[s].

    Across a change of the clock it is an hour off: what comes after a row must not depend on whether the next row is
    there already. A month after the last day of one is the last of the next, as in `advance` after a single time.
    """
    if np.datetime_data(step.dtype)[0] != "M":
        return (local + step).astype("datetime64[s]")
    month, day = local.astype("datetime64[M]"), local.astype("datetime64[D]")
    later = month + step
    last = _last_day(later)
    same = later.astype("datetime64[D]") + (day - month.astype("datetime64[D]"))
    found = np.where(day == _last_day(month), last, np.minimum(same, last))
    return np.asarray(found.astype("datetime64[s]") + (local - day))


def _last_day(month: Array) -> Array:
    return np.asarray((month + 1).astype("datetime64[D]") - 1)


def seconds(step: np.timedelta64) -> float:
    """Return the length of a step; a month counts as a twelfth of a year."""
    if np.datetime_data(step.dtype)[0] == "M":
        return float(step.astype(np.int64)) * 365.25 * 86400 / 12
    return float(step / np.timedelta64(1, "s"))
