"""Hours that come twice or not at all when the clocks are set, told from duplicates and gaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.data.tables.zones import offsets_at, offsets_of_wall

_HOUR = 3600
_DAY = 86400
# Falls for each rise from which on a table stands with its newest row first.
_MOSTLY = 3
# Clocks are set at night, on a Sunday, in these months; a repeated hour anywhere else is a duplicate.
_LATEST_HOUR = 3
_MONTHS_BACK = (2, 3, 4, 9, 10, 11)
# Where an hour is missing, its Sunday must be one on which clocks are set forward: (month, which Sunday, -1 the last).
_FORWARD = ((3, 1), (3, -1), (4, 0), (9, -1), (10, 0), (10, -1))

Same = Callable[[int, int], bool]


@dataclass(frozen=True, eq=False)
class Ordered:
    """The rows of one series in the order of time.

    Attributes
    ----------
    rows : ndarray of int (N,)
        Indices of the rows kept.
    times : ndarray datetime64[s] (N,)
        Increasing strictly unless `clash` says where not; no hour is missing or repeated because clocks are set.
    local : ndarray datetime64[s] (N,)
        What the wall's clock showed.
    unsorted : int
        Rows that stood before an earlier one.
    newest_first : bool
    doubles : int
        Rows left out that repeat another one in every column.
    clash : tuple of int, optional
        Two rows of one time that differ.
    repeated, skipped : tuple of datetime64
        Local hours that came twice or not at all.
    """

    rows: Array
    times: Array
    local: Array
    unsorted: int = 0
    newest_first: bool = False
    doubles: int = 0
    clash: tuple[int, int] | None = None
    repeated: tuple[np.datetime64, ...] = ()
    skipped: tuple[np.datetime64, ...] = ()


def order_rows(local: Array, offset: Array | None, zone: str | None, same: Same) -> Ordered:
    """Sort the rows of one series, leave out exact doubles, and see through changes of the clock.

    Parameters
    ----------
    local : ndarray datetime64[s] (N,)
    offset : ndarray int64 (N,), optional
        Seconds ahead of UTC, where the source states them.
    zone : str, optional
        The zone whose clock `local` shows; with `offset` it is already accounted for.
    same : callable
        Whether two rows, by their indices, are equal in every column.
    """
    steps = np.diff(local if offset is None else local - offset.astype("timedelta64[s]")).astype(np.int64)
    falls = steps < 0
    # Of rows in no order at all half of the steps fall.
    newest_first = int(falls.sum()) > _MOSTLY * int((steps > 0).sum())
    order = np.arange(local.size)[::-1] if newest_first else np.arange(local.size)
    unsorted = int((steps > 0).sum()) if newest_first else int(falls.sum())
    # A repeated hour in file order is one step back, and no disorder.
    by_label = order[np.argsort(local[order], kind="stable")]
    repeated: tuple[np.datetime64, ...] = ()
    skipped: tuple[np.datetime64, ...] = ()
    if offset is not None:
        instants = local - offset.astype("timedelta64[s]")
    elif zone is not None:
        second = np.zeros(local.size, bool)
        pairs = by_label[1:][np.diff(local[by_label]).astype(np.int64) == 0]
        second[pairs] = True
        # Outside the repeated hour both readings agree, so a true double stays a double.
        offset = offsets_of_wall(local, zone, second)
        instants = local - offset.astype("timedelta64[s]")
        # A label that no clock showed names the instant an hour on; the wall then shows what it showed.
        local = instants + offsets_at(instants, zone).astype("timedelta64[s]")
    else:
        shift, again, skipped = _shifts(local, by_label, same)
        instants = local - shift.astype("timedelta64[s]")
        repeated = again
    if repeated and not newest_first:
        unsorted = max(0, unsorted - len(repeated))
    order = order[np.argsort(instants[order], kind="stable")]
    order, doubles, clash = _without_doubles(order, instants, same)
    return Ordered(
        order, instants[order], local[order], unsorted, newest_first, doubles, clash, repeated, skipped
    )


def _without_doubles(order: Array, instants: Array, same: Same) -> tuple[Array, int, tuple[int, int] | None]:
    twice = np.flatnonzero(np.diff(instants[order]).astype(np.int64) == 0)
    keep = np.ones(order.size, bool)
    for k in twice:
        first, second = int(order[k]), int(order[k + 1])
        if not same(first, second):
            return order, 0, (min(first, second), max(first, second))
        keep[k + 1] = False
    return order[keep], int((~keep).sum()), None


def _shifts(
    local: Array, by_label: Array, same: Same
) -> tuple[Array, tuple[np.datetime64, ...], tuple[np.datetime64, ...]]:
    """Return how far each row's clock is ahead of that of the first row, and the hours repeated and skipped."""
    labels, first, counts = np.unique(local[by_label], return_index=True, return_counts=True)
    seconds = labels.astype(np.int64)
    gaps = np.diff(seconds)
    shift = np.zeros(local.size, np.int64)
    if not gaps.size:
        return shift, (), ()
    values, often = np.unique(gaps, return_counts=True)
    step = int(values[np.argmax(often)])
    if step > _HOUR or _HOUR % step:
        return shift, (), ()
    repeated: list[np.datetime64] = []
    skipped: list[np.datetime64] = []
    width = _HOUR // step
    # (label from which on, by how much the clock is set)
    changes: list[tuple[int, int]] = []
    for k in np.flatnonzero(gaps == step + _HOUR):
        missing = seconds[k] + step
        if _is_set_forward(int(missing)):
            changes.append((int(missing), _HOUR))
            skipped.append(np.datetime64(int(missing), "s"))
    pairs = np.flatnonzero(counts == 2)
    second_pass = np.zeros(local.size, bool)
    for run in np.split(pairs, np.flatnonzero(np.diff(pairs) > 1) + 1):
        if run.size != width or int(seconds[run[-1]] - seconds[run[0]]) != _HOUR - step:
            continue
        couples = [(int(by_label[first[k]]), int(by_label[first[k] + 1])) for k in run]
        if not _may_be_set_back(int(seconds[run[0]])) or all(same(a, b) for a, b in couples):
            continue
        second_pass[[b for _, b in couples]] = True
        changes.append((int(seconds[run[-1]]) + 1, -_HOUR))
        repeated.append(labels[run[0]])
    own = local.astype(np.int64)
    for begin, amount in changes:
        shift[own >= begin] += amount
    shift[second_pass] -= _HOUR
    return shift, tuple(repeated), tuple(skipped)


def _parts(second: int) -> tuple[int, int, int, int]:
    """Return (month, day, weekday with Sunday 6, hour)."""
    moment = np.datetime64(second, "s").item()
    return moment.month, moment.day, moment.weekday(), moment.hour


def _may_be_set_back(second: int) -> bool:
    month, _, weekday, hour = _parts(second)
    return month in _MONTHS_BACK and weekday == 6 and hour <= _LATEST_HOUR and second % _HOUR == 0


def _is_set_forward(second: int) -> bool:
    month, day, weekday, hour = _parts(second)
    if weekday != 6 or hour > _LATEST_HOUR or second % _HOUR:
        return False
    is_last = _parts(second + 7 * _DAY)[0] != month
    return (month, (day - 1) // 7) in _FORWARD or (is_last and (month, -1) in _FORWARD)
