"""The rows after the last: the wall's clock, and what is known of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bptt.checks import Array
from bptt.data.tables.frames import Columns
from bptt.data.tables.zones import offsets_at, offsets_of_wall
from bptt.errors import DataError
from bptt.forecast.panel import Line, Panel
from bptt.forecast.tables.filling import spread
from bptt.forecast.tables.layout import Layout
from bptt.forecast.tables.lines import group_labels, is_daily
from bptt.forecast.tables.roles import read_column
from bptt.forecast.tables.sources import open_source
from bptt.forecast.tables.steps import advance, step_words
from bptt.forecast.tables.time_columns import TimeColumns, find_times

# A table of future values may begin long before the end, and go on long after it; more is a mistake in a time.
_FURTHEST = 100_000


def wall_clock(times: Array, local: Array, layout: Layout, instants: Array) -> Array:
    """Return what the wall's clock shows at later instants of a series, NaT where its rows are only counted.

    Parameters
    ----------
    times, local : ndarray datetime64[s] (T,)
        Of the series.
    instants : ndarray datetime64[s] (F,)
        On the clock of `times`.
    """
    if layout.clock == "count":
        return np.full(len(instants), np.datetime64("NaT", "s"))
    if layout.clock == "utc" and is_daily(layout.timedelta):
        return instants
    if layout.zone is not None:
        return np.asarray(instants + offsets_at(instants, layout.zone).astype("timedelta64[s]"))
    return np.asarray(instants + (local[len(times) - 1] - times[-1]))


def known_parts(layout: Layout, name: str, values: Array) -> list[Array]:
    """Return what a model reads of a column in rows ahead: NaN where it is missing and no policy covers that."""
    levels, policy = layout.levels.get(name), layout.missing.get(name)
    parts = [part for _, part in spread(name, values, levels, policy)]
    if policy is None:
        gone = np.isnan(values) if levels is None else values == -1
        parts = [np.where(gone, np.nan, part) for part in parts]
    return parts


def extend(panel: Panel, layout: Layout, future_values: object, horizon: int) -> Panel:
    """Return the panel with the rows ahead: those of `future_values`, and the wall's clock for `horizon` rows.

    Raises
    ------
    DataError
        Columns known ahead that are not known as far as the horizon; a table of them that does not fit.
    """
    lines = list(panel)
    if future_values is not None and not layout.future:
        raise DataError(
            "future must be left out for a model without columns known ahead. Got a table: name them when it is "
            "trained (future=, --future)"
        )
    if future_values is not None:
        lines = _with_values(panel, layout, future_values)
    if not horizon:
        return replace(panel, lines=tuple(lines))
    made = []
    for line in lines:
        rows = len(line)
        ahead = len(line.local) - rows
        if layout.future:
            _check_known(line, layout, panel, horizon)
        if ahead < horizon:
            later = advance(line.times, horizon, panel.step)[ahead:]
            local = np.concatenate([line.local, wall_clock(line.times, line.local, layout, later)])
            line = replace(
                line, local=local, future=line.future if layout.future else np.zeros((rows + horizon, 0))
            )
        made.append(line)
    return replace(panel, lines=tuple(made))


def _check_known(line: Line, layout: Layout, panel: Panel, horizon: int) -> None:
    rows = len(line)
    known = line.future[rows : rows + horizon]
    whole = len(known)
    gone = np.isnan(known).any(axis=1)
    if gone.any():
        whole = int(np.argmax(gone))
    if whole < horizon:
        first = wall_clock(line.times, line.local, layout, advance(line.times, horizon, panel.step))[whole]
        when = "" if np.isnat(first) else f", the first missing at {str(first).replace('T', ' ')}"
        raise DataError(
            f"future values of {', '.join(layout.future)} must be known for horizon = {horizon} rows after the last"
            f"{f' of {line.id}' if line.id else ''}. Got {whole}{when}: give them (future=, --future-values)"
        )


def _with_values(panel: Panel, layout: Layout, source: object) -> list[Line]:
    found, _ = open_source(source, layout.decimal)
    needed = (*layout.time, *layout.group, *layout.future)
    absent = [name for name in needed if name not in found.header]
    if absent:
        raise DataError(
            f"{found.name} must have the columns {', '.join(needed)} for rows ahead. Got none called {absent[0]!r}"
        )
    count = len(found.entries[0])
    columns = {name: read_column(found, name, levels=layout.levels.get(name, ())) for name in layout.future}
    labels = group_labels(found, layout.group) if layout.group else np.full(count, "")
    time = find_times(found, layout.time) if layout.time else None
    made = []
    for line in panel:
        rows = np.flatnonzero(labels == line.id)
        if time is None:
            place = np.arange(rows.size)
        else:
            place = _places(found, line, panel.step, _instants(time, line, layout)[rows], rows)
        keep = (place >= 0) & (place < _FURTHEST)
        rows, place = rows[keep], place[keep]
        if rows.size and np.unique(place).size < rows.size:
            twice = int(rows[np.flatnonzero(np.bincount(place)[place] > 1)[1]])
            raise DataError(
                f"{found.name}, {found.place(twice)} must be the only row of its time. Got that time twice: "
                "keep one of the two"
            )
        total = max(int(place.max(initial=-1)) + 1, len(line.local) - len(line))
        parts = []
        for name, column in columns.items():
            values = np.full(total, np.nan if column.levels is None else -1, column.values.dtype)
            values[place] = column.values[rows]
            parts += known_parts(layout, name, values)
        ahead = np.stack(parts, axis=1)
        ahead[~np.isin(np.arange(total), place)] = np.nan
        old = line.future[len(line) :]
        ahead[: len(old)] = np.where(np.isnan(ahead[: len(old)]), old, ahead[: len(old)])
        later = wall_clock(line.times, line.local, layout, advance(line.times, total, panel.step))
        made.append(
            replace(
                line,
                local=np.concatenate([line.local[: len(line)], later]),
                future=np.concatenate([line.future[: len(line)], ahead]),
            )
        )
    return made


def _instants(time: TimeColumns, line: Line, layout: Layout) -> Array:
    """Return the times of a table of rows ahead on the clock of a series."""
    if time.moments is None:
        assert time.counts is not None
        return time.counts.astype("datetime64[s]")
    moments = time.moments
    if layout.clock == "utc":
        if is_daily(layout.timedelta):
            return moments.local
        if moments.offset is None and layout.zone is not None:
            shift = offsets_of_wall(moments.local, layout.zone, np.zeros(len(moments.local), bool))
            return np.asarray(moments.local - shift.astype("timedelta64[s]"))
        return moments.utc
    return np.asarray(moments.local - (line.local[len(line) - 1] - line.times[-1]))


def _places(found: Columns, line: Line, step: np.timedelta64, instants: Array, rows: Array) -> Array:
    """Return how many steps after the first row ahead each of these times lies."""
    last = line.times[-1]
    if np.datetime_data(step.dtype)[0] == "M":
        units = (instants.astype("datetime64[M]") - last.astype("datetime64[M]")).astype(np.int64)
        width = int(step.astype(np.int64))
    else:
        units = (instants - last).astype("timedelta64[s]").astype(np.int64)
        width = int(step.astype(np.int64))
    beside = np.flatnonzero((units % width != 0) & (units > 0))
    if beside.size:
        row = int(rows[beside[0]])
        raise DataError(
            f"{found.name}, {found.place(row)} must lie a whole number of steps of {step_words(step)} after the last "
            f"row. Got {instants[beside[0]]}: correct it"
        )
    return np.asarray(units // width - 1)
