"""The way back: forecasts as a table of the type that went in, by the clock that went in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import Array
from bptt.data.tables.frames import make_frame
from bptt.data.tables.zones import offset_words, offsets_at, offsets_of_wall
from bptt.errors import InvalidInput
from bptt.forecast.tables.ahead import wall_clock
from bptt.forecast.tables.layout import Layout, PanelData
from bptt.forecast.tables.lines import is_daily
from bptt.forecast.tables.steps import advance

# Libraries whose columns of times may have an offset that is no zone's.
_FIXED_OFFSETS = ("pandas", "pyarrow")
_NO_FRAME = ("csv", "parquet", "dict", "array")


def write_forecast(
    data: PanelData, columns: Mapping[str, npt.ArrayLike], *, lines: Sequence[int] | None = None
) -> Any:
    """Return forecasts of the rows after each series' last.

    Parameters
    ----------
    data : PanelData
        What the forecasts were made from.
    columns : mapping of str to array_like (S, H)
        As "y_hat", "lo_90", "hi_90": steps 1 to H of each series.
    lines : sequence of int, optional
        Which series the rows of the columns are; all by default.

    Returns
    -------
    frame or dict
        Columns `unique_id`, `ds` and those given: a frame of the library that went in, or a dict of arrays.
    """
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    shown = np.arange(len(data.panel)) if lines is None else np.asarray(lines)
    for name, values in arrays.items():
        if values.ndim != 2 or len(values) != len(shown):
            raise InvalidInput(f"{name} must have shape (S, H) = ({len(shown)}, *). Got {values.shape}")
    steps = next(iter(arrays.values())).shape[1] if arrays else 0
    instants = [advance(data.panel.lines[int(k)].times, steps, data.panel.step) for k in shown]
    times = np.concatenate(instants) if instants else np.empty(0, "datetime64[s]")
    flat = {name: values.reshape(-1) for name, values in arrays.items()}
    return write_rows(data, np.repeat(shown, steps), times, flat)


def write_rows(
    data: PanelData, lines: npt.ArrayLike, times: Array, columns: Mapping[str, npt.ArrayLike]
) -> Any:
    """Return rows of any series and times as a table of the type that went in.

    Parameters
    ----------
    data : PanelData
    lines : array_like of int (N,)
        The series of each row, by its place in the panel.
    times : ndarray datetime64[s] (N,)
        On the clock of `Line.times`, in the past or ahead.
    columns : mapping of str to array_like (N,)
    """
    which = np.asarray(lines, np.int64)
    names = np.array([line.id or data.layout.target for line in data.panel], object)
    made: dict[str, Any] = {"unique_id": names[which], "ds": _shown_times(data, which, times)}
    made |= {name: np.asarray(values) for name, values in columns.items()}
    if data.kind in _NO_FRAME:
        return made
    made["unique_id"] = [str(name) for name in made["unique_id"]]
    zones = {"ds": data.layout.zone or "UTC"} if data.layout.clock == "utc" else {}
    shifts = set(last_offsets(data)) if zones and data.layout.zone is None else set()
    if len(shifts) == 1 and shifts != {0} and data.kind in _FIXED_OFFSETS:
        zones = {"ds": offset_words(shifts.pop())}
    return make_frame(data.kind, made, zones)


def last_offsets(data: PanelData) -> list[int]:
    """Return by how many seconds the wall's clock was ahead of UTC in the last row of each series."""
    return [int((line.local[len(line) - 1] - line.times[-1]).astype(np.int64)) for line in data.panel]


def text_times(layout: Layout, times: Array, last: npt.ArrayLike = 0) -> list[str]:
    """Return times that `write_rows` made as text (ISO 8601), with an offset where the source had one.

    `last` are the seconds ahead of UTC that they are shown with where the source names no zone: see `last_offsets`.
    """
    if layout.clock == "count":
        return [str(value) for value in times]
    moments = times.astype("datetime64[s]")
    offset = None
    if layout.clock == "utc":
        if layout.zone is not None:
            offset = offsets_at(moments, layout.zone)
        else:
            offset = np.broadcast_to(np.asarray(last, np.int64), moments.shape)
        moments = moments + offset.astype("timedelta64[s]")
    begins = moments.astype("datetime64[D]")
    if is_daily(layout.timedelta) and bool((moments == begins).all()):
        return [str(day) for day in begins]
    texts = [str(moment) for moment in moments]
    if offset is None:
        return [text.replace("T", " ") for text in texts]
    return [
        text + (offset_words(int(shift)) if shift else "Z") for text, shift in zip(texts, offset, strict=True)
    ]


def _shown_times(data: PanelData, which: Array, times: Array) -> Array:
    """Return times as they are shown: by the wall's clock, as instants in UTC, or as whole numbers."""
    layout = data.layout
    if layout.clock == "count":
        return times.astype("datetime64[s]").astype(np.int64)
    if layout.clock == "utc":
        if not is_daily(layout.timedelta):
            return times.astype("datetime64[s]")
        shift = offsets_of_wall(times, layout.zone or "UTC", np.zeros(len(times), bool))
        return np.asarray(times - shift.astype("timedelta64[s]"))
    found = np.empty(len(times), "datetime64[s]")
    for k in np.unique(which):
        line = data.panel.lines[int(k)]
        mine = which == k
        own = times[mine]
        place = np.minimum(np.searchsorted(line.times, own), len(line) - 1)
        inside = line.times[place] == own
        later = wall_clock(line.times, line.local, layout, own)
        found[mine] = np.where(inside, line.local[place], later)
    return found
