"""The rows of a table, series by series, each on an even clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bptt.checks import Array
from bptt.data.tables import parsing
from bptt.data.tables.frames import Columns
from bptt.data.tables.recognised import recognise_zone
from bptt.data.tables.zones import offset_words, offsets_at
from bptt.errors import DataError
from bptt.forecast.tables.clock_changes import Ordered, order_rows
from bptt.forecast.tables.layout import Finding
from bptt.forecast.tables.steps import Laid, count_steps, find_step, lay_out, step_words
from bptt.forecast.tables.time_columns import TimeColumns

_DAY = 86400
# Rows beside the clock that are left out with a word; more of them are another table than it seems.
_MOST_BESIDE = 0.05
# Missing rows that are filled in: an age of 1900 among days of 2013 is no gap but a mistake.
_MOST_ADDED = 20
_ALWAYS_ADDED = 1000


@dataclass(frozen=True, eq=False)
class Track:
    """One series' rows on its clock.

    Attributes
    ----------
    id : str
    rows : ndarray of int (N,)
        Of the source.
    place : ndarray of int (N,)
        Where each lies on the clock.
    times : ndarray datetime64[s] (T,)
    local : ndarray datetime64[s] (T,)
        The wall's clock; NaT where rows are only counted.
    """

    id: str
    rows: Array
    place: Array
    times: Array
    local: Array

    def lay(self, values: Array, missing: float) -> Array:
        """Return a column of the source on the clock, `missing` where it has no row."""
        found = np.full(len(self.times), missing, values.dtype)
        found[self.place] = values[self.rows]
        return found


@dataclass(frozen=True, eq=False)
class Tracks:
    """All series on one step."""

    tracks: tuple[Track, ...]
    step: np.timedelta64
    clock: str
    zone: str | None
    findings: tuple[Finding, ...]


def split_rows(found: Columns, names: Sequence[str]) -> tuple[list[str], list[Array]]:
    """Return the names of the series in order of appearance, and the rows of each."""
    count = len(found.entries[0])
    if not names:
        return [""], [np.arange(count)]
    labels = group_labels(found, names)
    many, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(codes.reshape(-1), kind="stable")
    ends = np.cumsum(np.bincount(codes.reshape(-1)))[:-1]
    parts = np.split(order, ends)
    appearance = np.argsort(first)
    return [str(many[k]) for k in appearance], [parts[k] for k in appearance]


def group_labels(found: Columns, names: Sequence[str]) -> Array:
    """Return of each row the name of its series, text (N,); several columns are joined by "/"."""
    columns = []
    for name in names:
        entries = found.entries_of(name)
        if isinstance(entries, np.ndarray) and entries.dtype.kind == "f":
            bad = np.flatnonzero(np.isnan(entries))
            texts = [f"{value:.17g}" for value in np.nan_to_num(entries)]
        else:
            texts = [str(entry).strip() for entry in entries]
            none = {text for text in set(texts) if parsing.is_missing(text)}
            bad = np.flatnonzero([text in none for text in texts]) if none else np.empty(0, np.int64)
        if bad.size:
            raise DataError(
                f"{found.name}, {found.place(int(bad[0]))}, column {name!r} must name the row's series. Got none"
            )
        columns.append(texts)
    return np.array(
        columns[0] if len(columns) == 1 else ["/".join(parts) for parts in zip(*columns, strict=True)]
    )


def make_tracks(
    found: Columns,
    time: TimeColumns | None,
    group: Sequence[str],
    same: Callable[[int, int], bool],
    *,
    step: np.timedelta64 | None,
    zone: str | None,
) -> Tracks:
    """Put every series on an even clock.

    Raises
    ------
    DataError
        Two rows of one series and one time that differ; rows that are not evenly spaced; no step to be seen.
    """
    names, parts = split_rows(found, group)
    if time is None or time.moments is None:
        return _counted(found, time, names, parts, same, step)
    moments = time.moments
    changes: list[Finding] = []
    if moments.zone is not None:
        zone = moments.zone
    elif moments.offset is not None and zone is None and np.ptp(moments.offset):
        zone = recognise_zone(moments.utc, moments.offset)
        told = (
            "offsets from UTC change, by the rules of no zone that is known here: later times keep the last one, and "
            "the clock is not set again (--zone names a zone)"
        )
        if zone is not None:
            told = f"offsets from UTC change as those of {zone} do: later times are shown by its clock"
        changes.append(Finding("clock", told, time.names[0], warning=zone is None))
    ordered = [
        order_rows(
            moments.local[rows],
            None if moments.offset is None else moments.offset[rows],
            zone,
            lambda i, j, rows=rows: same(int(rows[i]), int(rows[j])),  # type: ignore[misc]  # bound now
        )
        for rows in parts
    ]
    _refuse_clashes(found, time, ordered, parts, moments.local, bool(group))
    instants = [each.times for each in ordered]
    if moments.offset is not None or zone is not None:
        # A day is a day of the wall's clock, of 23 to 25 hours.
        by_wall = step if step is not None else find_step([each.local for each in ordered])
        if by_wall is not None and is_daily(by_wall):
            instants = [each.local for each in ordered]
    clock = "utc" if moments.offset is not None or zone is not None else "local"
    chosen = step if step is not None else find_step(instants)
    if chosen is None:
        chosen = _no_step(found)
    if zone is None and moments.offset is not None and is_daily(chosen):
        # Days are counted by the wall's clock: how far it is ahead would be lost.
        zone = offset_words(int(moments.offset[np.argmax(moments.utc)]))
    laid = [_lay(found, time, times, chosen) for times in instants]
    tracks = []
    for name, rows, order, times, each in zip(names, parts, ordered, instants, laid, strict=True):
        shift = (order.local - times)[each.kept]
        last = np.maximum.accumulate(_spread_places(each))
        local = each.times + shift[last]
        if clock == "utc" and zone is not None and not is_daily(chosen):
            local = each.times + offsets_at(each.times, zone).astype("timedelta64[s]")
        tracks.append(Track(name, rows[order.rows][each.kept], each.place, each.times, local))
    findings = [*changes, *_order_findings(ordered), *_clock_findings(ordered, laid, tracks, chosen)]
    return Tracks(tuple(tracks), chosen, clock, zone, tuple(findings))


def is_daily(step: np.timedelta64) -> bool:
    """Return whether a step is made of whole days or months, which the wall's clock counts."""
    return np.datetime_data(step.dtype)[0] == "M" or int(step.astype(np.int64)) % _DAY == 0


def _counted(
    found: Columns,
    time: TimeColumns | None,
    names: list[str],
    parts: list[Array],
    same: Callable[[int, int], bool],
    step: np.timedelta64 | None,
) -> Tracks:
    tracks, findings = [], []
    if time is None or time.counts is None:
        one = np.timedelta64(1, "s")
        for name, rows in zip(names, parts, strict=True):
            place = np.arange(rows.size)
            times = (place * one).astype("timedelta64[s]") + np.datetime64(0, "s")
            tracks.append(Track(name, rows, place, times, np.full(rows.size, np.datetime64("NaT", "s"))))
        findings.append(
            Finding("time", "no column of times: rows are taken to be one step apart, without a calendar")
        )
        return Tracks(tuple(tracks), one, "count", None, tuple(findings))
    counts = time.counts.astype("datetime64[s]")
    ordered = [
        order_rows(
            counts[rows],
            np.zeros(rows.size, np.int64),
            None,
            lambda i, j, rows=rows: same(int(rows[i]), int(rows[j])),  # type: ignore[misc]  # bound now
        )
        for rows in parts
    ]
    _refuse_clashes(found, time, ordered, parts, time.counts, len(parts) > 1)
    chosen = step if step is not None else find_step([each.times for each in ordered])
    if chosen is None or np.datetime_data(chosen.dtype)[0] == "M":
        chosen = np.timedelta64(1, "s")
    laid = [_lay(found, time, each.times, chosen) for each in ordered]
    for name, rows, order, each in zip(names, parts, ordered, laid, strict=True):
        nowhen = np.full(len(each.times), np.datetime64("NaT", "s"))
        tracks.append(Track(name, rows[order.rows][each.kept], each.place, each.times, nowhen))
    findings = [*_order_findings(ordered), *_clock_findings(ordered, laid, tracks, chosen)]
    return Tracks(tuple(tracks), chosen, "count", None, tuple(findings))


def _spread_places(laid: Laid) -> Array:
    """Return of each time on the clock the number of its row, 0 where it has none."""
    found = np.zeros(len(laid.times), np.int64)
    found[laid.place] = np.arange(laid.place.size)
    return found


def _no_step(found: Columns) -> np.timedelta64:
    raise DataError(
        f"{found.name} must have at least 2 rows in a series, or the step (step=, --step). Got single rows only"
    )


def _refuse_clashes(
    found: Columns,
    time: TimeColumns,
    ordered: Sequence[Ordered],
    parts: Sequence[Array],
    shown: Array,
    grouped: bool,
) -> None:
    for rows, each in zip(parts, ordered, strict=True):
        if each.clash is None:
            continue
        first, second = int(rows[each.clash[0]]), int(rows[each.clash[1]])
        remedy = (
            "keep one of the two"
            if grouped
            else "keep one of the two, or name the column that tells series apart (--group)"
        )
        raise DataError(
            f"{found.name}, {found.place(second)}, column {time.names[0]!r} must have each time once. "
            f"Got {shown[second]} again, with other values than in {found.place(first)}: {remedy}"
        )


def _lay(found: Columns, time: TimeColumns, times: Array, step: np.timedelta64) -> Laid:
    # Before anything of the clock's length is made: one wrong year is a billion seconds.
    if count_steps(times, step) > _MOST_ADDED * times.size + _ALWAYS_ADDED:
        gaps = np.diff(times)
        widest = int(np.argmax(gaps))
        raise DataError(
            f"{found.name}, column {time.names[0]!r} must have rows one step = {step_words(step)} apart. "
            f"Got nothing from {_shown(time, times[widest])} to {_shown(time, times[widest + 1])}: "
            "correct the time, or cut the table there"
        )
    laid = lay_out(times, step)
    beside = int((~laid.kept).sum())
    if beside > _MOST_BESIDE * times.size:
        odd = int(np.flatnonzero(~laid.kept)[0])
        raise DataError(
            f"{found.name}, column {time.names[0]!r} must have rows one step = {step_words(step)} apart. "
            f"Got {beside:,} of {times.size:,} rows beside that, the first at {_shown(time, times[odd])}: "
            "resample it, or name the step (step=, --step)"
        )
    return laid


def _shown(time: TimeColumns, moment: np.datetime64) -> str:
    """Return a time, or where rows are counted the number, as the source has it."""
    return str(moment if time.moments is not None else int(moment.astype(np.int64)))


def _order_findings(ordered: Sequence[Ordered]) -> list[Finding]:
    found = []
    newest = sum(each.newest_first for each in ordered)
    if newest:
        found.append(Finding("unsorted", "rows stood with the newest first: turned round", count=newest))
    unsorted = sum(each.unsorted for each in ordered)
    if unsorted:
        found.append(
            Finding(
                "unsorted",
                f"{unsorted:,} row{'' if unsorted == 1 else 's'} stood after a later one: sorted by time",
                count=unsorted,
                warning=True,
            )
        )
    doubles = sum(each.doubles for each in ordered)
    if doubles:
        some = "row repeats" if doubles == 1 else "rows repeat"
        text = f"{doubles:,} {some} another one of the same time in every column: left out"
        found.append(Finding("duplicate", text, count=doubles, warning=True))
    repeated = sorted({moment for each in ordered for moment in each.repeated})
    skipped = sorted({moment for each in ordered for moment in each.skipped})
    if repeated or skipped:
        told = [f"{_words(m)} comes twice" for m in repeated] + [f"{_words(m)} is missing" for m in skipped]
        some = ", ".join(told[:4]) + (" ..." if len(told) > 4 else "")
        text = f"clock changes: local {some}; neither duplicates nor gaps"
        found.append(Finding("clock", text, count=len(told)))
    return found


def _clock_findings(
    ordered: Sequence[Ordered], laid: Sequence[Laid], tracks: Sequence[Track], step: np.timedelta64
) -> list[Finding]:
    found = []
    beside = sum(int((~each.kept).sum()) for each in laid)
    if beside:
        k = next(k for k, each in enumerate(laid) if not each.kept.all())
        odd = ordered[k].times[np.flatnonzero(~laid[k].kept)[0]]
        words = step_words(step)
        text = (
            f"{beside:,} rows lie between the steps of {words} and are left out, the first at {_words(odd)}"
        )
        found.append(Finding("beside", text, count=beside, warning=True))
    rounded = max((each.rounded for each in laid), default=0)
    if rounded:
        found.append(
            Finding("rounded", f"times are up to {rounded} s beside the steps of {step_words(step)}: rounded")
        )
    added = [len(each.times) - each.place.size for each in laid]
    if any(added):
        widest = [int(np.diff(each.place).max(initial=1)) for each in laid]
        k = int(np.argmax(widest))
        first = int(laid[k].place[int(np.argmax(np.diff(laid[k].place)))]) + 1
        series = sum(count > 0 for count in added)
        text = (
            f"{sum(added):,} rows are missing{f' in {series} series' if len(added) > 1 else ''}, at most "
            f"{widest[k] - 1:,} in a row, from {place_words(tracks[k], first)} on: filled in as missing values"
        )
        found.append(Finding("gap", text, count=sum(added), warning=True))
        found += _coarser(laid, tracks, step)
    return found


def _coarser(laid: Sequence[Laid], tracks: Sequence[Track], step: np.timedelta64) -> list[Finding]:
    """Say where many rows in a row are a larger step apart: a table of two frequencies."""
    for each, track in zip(laid, tracks, strict=True):
        wide = np.diff(each.place)
        runs = np.flatnonzero(np.diff(np.concatenate([[0], wide, [0]])))
        for a, b in pairwise(runs):
            if b - a >= 5 and wide[a] > 1:
                words = step_words(step * int(wide[a]))
                text = (
                    f"mixed steps: {b - a:,} rows from {place_words(track, int(each.place[a]))} on are {words} apart, "
                    f"most others {step_words(step)}"
                )
                return [Finding("mixed", text, count=int(b - a), warning=True)]
    return []


def place_words(track: Track, row: int) -> str:
    """Return the words for a moment of a series."""
    when = track.local[row]
    told = f"{int(track.times[row].astype(np.int64))}" if np.isnat(when) else _words(when)
    return f"{told} ({track.id})" if track.id else told


def _words(moment: np.datetime64) -> str:
    text = str(moment.astype("datetime64[s]")).replace("T", " ")
    return text.removesuffix(" 00:00:00") if text.endswith(" 00:00:00") else text.removesuffix(":00")
