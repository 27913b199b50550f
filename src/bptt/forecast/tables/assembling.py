"""From the columns of a table, laid on the clock of each series, to the lines of a panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bptt.checks import Array
from bptt.data.tables.frames import Columns
from bptt.errors import DataError
from bptt.forecast.panel import Line
from bptt.forecast.tables.ahead import known_parts
from bptt.forecast.tables.filling import spread
from bptt.forecast.tables.layout import Layout
from bptt.forecast.tables.lines import Track, Tracks
from bptt.forecast.tables.roles import Column


def make_line(found: Columns, layout: Layout, track: Track, columns: Mapping[str, Column]) -> Line:
    """Return what belongs to one series, laid on its clock, gaps treated by the policies."""
    y = track.lay(columns[layout.target].values, np.nan)

    def block(names: Sequence[str]) -> Array:
        parts = [values for name in names for _, values in _spread_of(layout, columns[name], name, track)]
        return np.stack(parts, axis=1) if parts else np.zeros((len(y), 0))

    past, known = block(layout.past), block(layout.future)
    rows = len(y)
    if layout.future:
        rows = _last_row(track, columns, (layout.target, *layout.past)) + 1
        later = [
            part[rows:]
            for name in layout.future
            for part in known_parts(layout, name, _laid(track, columns[name]))
        ]
        known[rows:] = np.stack(later, axis=1)
    static = np.array([value for name in layout.static for value in _static_of(found, track, columns[name])])
    return Line(
        track.id, track.times[:rows], track.local, y[:rows], past[:rows], known, static.astype(np.float64)
    )


def rows_ahead(tracks: Tracks, columns: Mapping[str, Column], measured: Sequence[str]) -> Array:
    """Return which rows of the source are only known ahead, bool (N,)."""
    found = np.zeros(next(iter(columns.values())).values.size, bool)
    for track in tracks.tracks:
        found[track.rows[track.place > _last_row(track, columns, measured)]] = True
    return found


def _last_row(track: Track, columns: Mapping[str, Column], measured: Sequence[str]) -> int:
    """Return the last row that is not only known ahead: where the target or a past column has a value."""
    seen = np.zeros(len(track.times), bool)
    for name in measured:
        seen |= ~track.lay(columns[name].gone, True)
    return int(np.flatnonzero(seen)[-1]) if seen.any() else len(seen) - 1


def _spread_of(layout: Layout, column: Column, name: str, track: Track) -> list[tuple[str, Array]]:
    return spread(name, _laid(track, column), column.levels, layout.missing.get(name))


def _laid(track: Track, column: Column) -> Array:
    return track.lay(column.values, np.nan if column.levels is None else -1)


def part_names(layout: Layout, columns: Mapping[str, Column], name: str) -> list[str]:
    """Return the names of what a model reads of a past or future column."""
    column = columns[name]
    return [part for part, _ in spread(name, column.values[:1], column.levels, layout.missing.get(name))]


def static_names(layout: Layout, name: str) -> list[str]:
    """Return the names of what a model reads of a static column."""
    levels = layout.levels.get(name)
    return [name] if levels is None else [f"{name}={level}" for level in levels]


def _static_of(found: Columns, track: Track, column: Column) -> list[float]:
    values = column.values[track.rows]
    known = values[~np.isnan(values)] if column.levels is None else values[values != -1]
    if known.size and (known != known[0]).any():
        row = int(track.rows[np.flatnonzero(values != known[0])[0]])
        raise DataError(
            f"{found.name}, {found.place(row)}, column {column.name!r} must be constant in a series to be static. "
            f"Got another value{f' in {track.id}' if track.id else ''}: name it as an input (inputs=, --inputs)"
        )
    if column.levels is None:
        return [float(known[0]) if known.size else np.nan]
    return [float(known.size > 0 and known[0] == k) for k in range(len(column.levels))]
