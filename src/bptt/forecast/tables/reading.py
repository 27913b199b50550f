"""From a table to a panel: columns and clock found or taken as asked, everything odd listed, nothing silent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bptt.checks import Array, check_choice
from bptt.data.tables.frames import Columns
from bptt.data.tables.parsing import DECIMALS
from bptt.data.tables.zones import check_zone
from bptt.errors import DataError, InvalidInput
from bptt.forecast.panel import Panel
from bptt.forecast.tables.ahead import extend
from bptt.forecast.tables.assembling import make_line, part_names, rows_ahead, static_names
from bptt.forecast.tables.filling import check_missing
from bptt.forecast.tables.layout import Finding, Layout, PanelData
from bptt.forecast.tables.lines import Tracks, group_labels, make_tracks, place_words
from bptt.forecast.tables.roles import Column, check_roles, choose_roles, find_group, find_target, read_column
from bptt.forecast.tables.sources import open_source
from bptt.forecast.tables.steps import parse_step
from bptt.forecast.tables.suspects import find_frozen, find_suspects
from bptt.forecast.tables.time_columns import TimeColumns, find_times, is_part_name

_log = logging.getLogger("bptt.forecast")
_SHOWN = 5
# Where so many rows repeat a time, they are several series, not doubles.
_SERIES = 0.3

Names = str | Sequence[str] | None


def read_panel(
    source: object,
    *,
    target: str | int | None = None,
    time: Names = None,
    group: Names = None,
    inputs: Names = None,
    future: Names = None,
    static: Names = None,
    without: Names = None,
    missing: str | Mapping[str, str] | None = None,
    step: str | np.timedelta64 | None = None,
    zone: str | None = None,
    decimal: str | None = None,
    future_values: object = None,
    horizon: int = 0,
    layout: Layout | None = None,
) -> PanelData:
    """Read a table into series on an even clock.

    What is not named is found: the time column (or year, month, day, hour), the step, the series (`unique_id`, or a
    column by which no time comes twice), columns of numbers and of words. What is named wins.

    Parameters
    ----------
    source : path, data frame, dict, or array
        CSV or Parquet; pandas, polars, pyarrow, ...; a dict of columns; an array (T,) or (T, C). Wide (a row a time)
        or long (`unique_id`, `ds`, `y`).
    target : str, optional
        The column to forecast; by default "y", or the only column of numbers.
    time, group : str or sequence of str, optional
        Columns of the time and of the series' names.
    inputs, future, static : str or sequence of str, optional
        Columns measured together with the target (by default all that are left; () for none), known ahead, and
        constant in each series.
    without : str or sequence of str, optional
        Columns that are not looked at.
    missing : {"forward", "mask", "drop", "error"} or mapping, optional
        What is done where a value is missing, for all columns or by column.
    step : str or timedelta64, optional
        From one row to the next, as "10 min" or "1 month".
    zone : str, optional
        Whose clock times without an offset show, as "Europe/Berlin".
    decimal : {".", ","}, optional
        The decimal mark of a CSV file; by default a point, or with a layout its own. A point is no mark of thousands
        where it is a comma, nor the other way round: numbers with such marks are refused.
    future_values : table, optional
        Rows after the last, with the time, the group and the columns known ahead.
    horizon : int
        Rows ahead that a forecast needs: the wall's clock reaches so far, and so must the columns known ahead.
    layout : Layout, optional
        What was found when a model was trained; then nothing is searched for, and the other choices stay unnamed.
        Series and words that training did not see are logged as warnings, besides being findings.

    Returns
    -------
    PanelData

    Raises
    ------
    FileMissing, FileFormatError, DataError, InvalidInput, InvalidType
        One line, with the place and the remedy.
    """
    if decimal is not None:
        check_choice("decimal", decimal, DECIMALS)
        layout = None if layout is None else replace(layout, decimal=decimal)
    found, sha256 = open_source(source, layout.decimal if layout is not None else decimal or ".")
    if layout is not None:
        made = _as_before(found, layout)
    else:
        if zone is not None:
            check_zone(zone)
        made = _choose(
            found,
            target=None if target is None else str(target),
            roles=check_roles(
                time=time,
                group=group,
                inputs=inputs,
                future=future,
                static=static,
                without=without,
            ),
            missing=missing,
            step=None if step is None else parse_step(step),
            zone=zone,
        )
    layout, tracks, columns, findings = made
    lines = tuple(make_line(found, layout, track, columns) for track in tracks.tracks)
    parts = [part for name in layout.past for part in part_names(layout, columns, name)]
    known = [part for name in layout.future for part in part_names(layout, columns, name)]
    fixed = [part for name in layout.static for part in static_names(layout, name)]
    panel = Panel(lines, layout.target, tuple(parts), tuple(known), tuple(fixed), layout.timedelta)
    panel = extend(panel, layout, future_values, horizon)
    return PanelData(
        panel,
        layout,
        tuple(findings),
        found.name,
        found.kind,
        len(found.entries[0]),
        sha256,
    )


_Made = tuple[Layout, Tracks, dict[str, Column], list[Finding]]


def _choose(
    found: Columns,
    *,
    target: str | None,
    roles: dict[str, tuple[str, ...] | None],
    missing: str | Mapping[str, str] | None,
    step: np.timedelta64 | None,
    zone: str | None,
) -> _Made:
    """Find out what is what."""
    unwanted = roles["without"] or ()
    if target is not None and target in unwanted:
        raise InvalidInput(f"without must not name the target. Got {target!r} as both: name another column")
    found = found.without(unwanted)
    time = find_times(found, roles["time"])
    group = roles["group"]
    if group is None and "unique_id" in found.header:
        group = ("unique_id",)
    times = () if time is None else time.names
    if group is None and time is not None:
        group = _search_group(found, time, (*times, *([target] if target else [])))
    group = group or ()
    name = find_target(found, target, (*times, *group))
    taken = dict.fromkeys(times, "time") | dict.fromkeys(group, "group")
    if name in taken:
        raise DataError(f"target must be a column of its own. Got {name!r}, which is the {taken[name]}")
    if read_column(found, name, levels=()).gone.all():
        raise DataError(
            f"{found.name}, column {name!r} must have some value to be forecast. Got none in all rows"
        )
    codes = _codes(found, group)
    chosen, columns = choose_roles(
        found,
        target=name,
        taken=taken | {name: "target"},
        inputs=roles["inputs"],
        future=roles["future"],
        static=roles["static"],
        is_static=lambda column: codes is not None and _is_constant(column, codes),
        is_counter=_is_counter,
        is_part=lambda column: time is not None and time.moments is not None and is_part_name(column),
    )
    tracks = make_tracks(found, time, group, _same(columns), step=step, zone=zone)
    used = (*chosen.past, *chosen.future)
    policies = check_missing(missing, (name, *used))
    named = set(missing) if isinstance(missing, Mapping) else set()
    findings = list(tracks.findings)
    left_out = dict.fromkeys(unwanted, "as asked") | dict(chosen.left_out)
    if "" in found.header:
        left_out["(unnamed)"] = "has no name"
    kept: dict[str, str] = {}
    later = rows_ahead(tracks, columns, (name, *chosen.past)) if chosen.future else None
    for column in (name, *used):
        aside = None if column in chosen.future else later
        finding = _missing_finding(found, columns[column], tracks, policies[column], column == name, aside)
        if finding is None and column not in named:
            continue
        if finding is not None:
            findings.append(finding)
        if policies[column] == "drop" and finding is not None and column != name:
            left_out[column] = "values are missing, and it was to be dropped then"
        elif column != name and policies[column] in ("forward", "mask"):
            kept[column] = policies[column]
    if zone is not None and tracks.zone != zone:
        why = f"the times say that they are in {tracks.zone}" if tracks.zone else "the rows are only counted"
        text = f"zone {zone} is not used: {why}"
        findings.append(Finding("clock", text, times[0] if times else "", warning=True))
    findings += _suspects(name, columns, tracks)
    findings += [
        Finding("left out", f"{column}: not used ({reason})", column, warning=reason == "numbers as text")
        for column, reason in left_out.items()
    ]
    layout = Layout(
        target=name,
        time=times,
        group=group,
        past=tuple(column for column in chosen.past if column not in left_out),
        future=tuple(column for column in chosen.future if column not in left_out),
        static=chosen.static,
        levels={column: read.levels for column, read in columns.items() if read.levels is not None},
        missing=kept,
        step=f"{int(tracks.step.astype(np.int64))}{np.datetime_data(tracks.step.dtype)[0]}",
        clock=tracks.clock,
        zone=tracks.zone,
        left_out=left_out,
        series=tuple(track.id for track in tracks.tracks),
        decimal=found.decimal,
    )
    return layout, tracks, columns, findings


def _as_before(found: Columns, layout: Layout) -> _Made:
    """Read the columns of a model's layout."""
    absent = [
        name
        for name in (*layout.time, *layout.group, layout.target, *layout.past, *layout.future, *layout.static)
        if name not in found.header
    ]
    if absent:
        raise DataError(
            f"{found.name} must have the columns that the model was trained with. Got none called {absent[0]!r}, "
            f"and the columns {', '.join(name for name in found.header[:40] if name)}"
        )
    time = find_times(found, layout.time) if layout.time else None
    columns = {
        name: read_column(found, name, levels=layout.levels.get(name, ()))
        for name in (layout.target, *layout.past, *layout.future, *layout.static)
    }
    tracks = make_tracks(found, time, layout.group, _same(columns), step=layout.timedelta, zone=layout.zone)
    findings = [finding for finding in tracks.findings if finding.kind != "time"]
    if tracks.clock != layout.clock:
        words = {"utc": "an offset or a zone", "local": "none", "count": "whole numbers"}
        raise DataError(
            f"{found.name} must have times as the model was trained on, with {words[layout.clock]}. "
            f"Got {words[tracks.clock]}: write them alike"
        )
    if layout.zone is None and tracks.zone is not None:
        layout = replace(layout, zone=tracks.zone)  # one offset does not tell whose clock it is, two may
    later = rows_ahead(tracks, columns, (layout.target, *layout.past)) if layout.future else None
    for name, column in columns.items():
        if column.unseen:
            told = ", ".join(map(repr, column.unseen[:_SHOWN]))
            levels = ", ".join(layout.levels[name][:_SHOWN])
            text = f"{name}: {told} did not occur in training: taken as none of {levels}"
            findings.append(Finding("unseen", text, name, len(column.unseen), warning=True))
        if name in (layout.target, *layout.static):
            continue
        policy = layout.missing.get(name)
        aside = None if name in layout.future else later
        finding = _missing_finding(found, column, tracks, policy or "forward", False, aside)
        if finding is not None:
            said = "" if policy else "; none was missing in training, so the model does not know it"
            findings.append(replace(finding, text=finding.text + said, warning=not policy))
    new = sorted({track.id for track in tracks.tracks} - set(layout.series))
    if new and layout.group:
        told = ", ".join(new[:_SHOWN]) + (" ..." if len(new) > _SHOWN else "")
        text = f"series that training did not see: {told}; scaled by their own rows"
        findings.append(Finding("unseen", text, layout.group[0], len(new), warning=True))
    for finding in findings:
        if finding.kind == "unseen":  # in Python nobody looks at the findings of a prediction
            _log.warning("%s: %s", found.name, finding)
    return layout, tracks, columns, findings


def _search_group(found: Columns, time: TimeColumns, taken: Sequence[str]) -> tuple[str, ...] | None:
    """Return the column by which no time comes twice, where many do."""
    moments = time.counts if time.moments is None else time.moments.utc.astype(np.int64)
    assert moments is not None
    if np.unique(moments).size > (1 - _SERIES) * moments.size:
        return None

    def repeats(codes: Array) -> bool:
        pairs = np.unique(np.stack([codes, moments], axis=1), axis=0)
        return bool(len(pairs) < 0.99 * moments.size)

    name = find_group(found, repeats, taken)
    return None if name is None else (name,)


def _codes(found: Columns, group: Sequence[str]) -> Array | None:
    if not group:
        return None
    many, codes = np.unique(group_labels(found, group), return_inverse=True)
    return codes.reshape(-1) if many.size > 1 else None


def _is_constant(column: Column, codes: Array) -> bool:
    """Return whether a column never changes within a series."""
    first = np.full(int(codes.max()) + 1, -1)
    first[codes[::-1]] = np.arange(codes.size)[::-1]
    own = column.values[first[codes]]
    return bool(((column.values == own) | ((column.values != column.values) & (own != own))).all())


def _is_counter(values: Array) -> bool:
    """Return whether a column numbers the rows."""
    return values.size > 2 and bool((np.diff(values) == 1).all())


def _same(columns: Mapping[str, Column]) -> Callable[[int, int], bool]:
    """Return what tells whether two rows agree in every column that is used."""

    def same(i: int, j: int) -> bool:
        for column in columns.values():
            a, b = column.values[i], column.values[j]
            if a != b and not (a != a and b != b):  # NaN is not itself
                return False
        return True

    return same


def _missing_finding(
    found: Columns, column: Column, tracks: Tracks, policy: str, is_target: bool, aside: Array | None
) -> Finding | None:
    """Return what is missing in a column outside the rows `aside`, and what is done about it; None where nothing is."""
    name, gone = column.name, column.gone
    if aside is not None:
        gone = gone & ~aside
    count, total = int(gone.sum()), gone.size
    added = sum(len(track.times) - track.rows.size for track in tracks.tracks)
    if not count + added:
        return None
    if policy == "error":
        place = found.place(int(np.argmax(gone))) if count else "a row that is not there"
        raise DataError(
            f"{found.name}, column {name!r} must have a value in every row (missing='error'). "
            f"Got {count + added} missing, the first in {place}: choose another policy (missing=, --missing)"
        )
    if not count:
        return None  # missing only where rows are, which is said once for all columns
    longest = max(_longest(track.lay(gone, True)) for track in tracks.tracks)
    done = {
        "forward": "filled with the last value, its age is an input",
        "mask": "filled with the last value, an input says where",
        "drop": "the column is left out",
    }[policy]
    if is_target:
        done = "never learned or scored; as an input filled with the last value, its age beside it"
    share = (
        f"{count:,} of {total:,} values missing ({100 * count / total:.1f} %), at most {longest:,} in a row"
    )
    text = f"{name}: {share}: {done}"
    return Finding("missing", text, name, count, warning=count > total // 10)


def _longest(flags: Array) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _suspects(target: str, columns: Mapping[str, Column], tracks: Tracks) -> list[Finding]:
    """Look at every column of numbers for what cannot be."""

    def where(k: int, row: int) -> str:
        return place_words(tracks.tracks[k], row)

    findings: list[Finding] = []
    numeric = {name: column.values for name, column in columns.items() if column.levels is None}
    laid = {name: [track.lay(values, np.nan) for track in tracks.tracks] for name, values in numeric.items()}
    for name, lines in laid.items():
        findings += find_suspects(name, lines, where)
        empty = [
            track.id
            for track, values in zip(tracks.tracks, lines, strict=True)
            if not np.nan_to_num(values).any()
        ]
        if name == target and 0 < len(empty) < len(lines):
            told = ", ".join(empty[:_SHOWN]) + (" ..." if len(empty) > _SHOWN else "")
            text = f"{name}: all zero or empty in {len(empty)} series ({told})"
            findings.append(Finding("constant", text, name, len(empty), warning=True))
    blocks = [np.stack(values, axis=1) for values in zip(*laid.values(), strict=True)]
    with np.errstate(over="ignore", invalid="ignore"):
        return findings + find_frozen(list(laid), blocks, where)
