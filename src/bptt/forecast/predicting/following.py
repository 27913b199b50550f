"""Following lines: what the rows so far leave behind, and how the next rows change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array
from bptt.errors import DataError
from bptt.forecast.features.encoding import Memory, encode
from bptt.forecast.fitting.intervals.bounds import Intervals
from bptt.forecast.fitting.intervals.moments import moment
from bptt.forecast.fitting.networks.members import run_states
from bptt.forecast.fitting.trained import Trained
from bptt.forecast.panel import Line
from bptt.forecast.pieces import after, cut, seconds
from bptt.forecast.tables.steps import advance
from bptt.network.records import State

# A gap of so many rows is no gap any more: the state has nothing to say of what comes after it.
LARGEST_GAP = 1000


@dataclass(frozen=True, eq=False)
class Followed:
    """A line as far as it is known.

    Attributes
    ----------
    id : str
    time, local : datetime64[s]
        Of the last row; the wall's clock beside it.
    memory : Memory
    states : tuple of state
        Of each network, (L, 1, H).
    z : ndarray float64 (K,)
        The forecast made after the last row, scaled.
    moment : ndarray float64 (G,)
        What the width of its intervals depends on.
    static : ndarray float64 (S,)
    ahead : int
        Rows after the last of which the columns known ahead were known.
    """

    id: str
    time: np.datetime64
    local: np.datetime64
    memory: Memory
    states: tuple[State, ...]
    z: Array
    moment: Array
    static: Array
    ahead: int


def follow(
    trained: Trained,
    intervals: Intervals,
    lines: Sequence[Line],
    before: Sequence[Followed | None] | None = None,
) -> list[Followed]:
    """Return what lines lead to, each from its first row or on from what came before.

    Raises
    ------
    DataError
        A line without rows.
    """
    was = [None] * len(lines) if before is None else list(before)
    empty = next((line.id for line in lines if not len(line)), None)
    if empty is not None:
        raise DataError(f"series {empty!r} must have at least one row to be forecast. Got none")
    encoding = trained.encoding
    encoded = [
        encode(encoding, line, None if old is None else old.memory)
        for line, old in zip(lines, was, strict=True)
    ]
    states: list[list[State]] = [[] for _ in lines]
    for m, net in enumerate(trained.nets):
        starts = [None if old is None else old.states[m] for old in was]
        for number, _, state in run_states(net, [each.x for each in encoded], starts):
            states[number].append({name: np.array(array) for name, array in state.items()})
    found = []
    for number, (line, each) in enumerate(zip(lines, encoded, strict=True)):
        last = np.array([len(line) - 1])
        z = trained.ahead(each, last, states[number])
        width = moment(encoding.calendar, intervals.floor, each, last)
        found.append(
            Followed(
                line.id,
                line.times[-1],
                line.local[len(line) - 1],
                each.memory,
                tuple(states[number]),
                z[0],
                width[0],
                line.static,
                len(line.future) - len(line),
            )
        )
    return found


def new_rows(line: Line, followed: Followed, step: np.timedelta64) -> Line | None:
    """Return the rows of a line that come after what was followed, those missing in between as missing values.

    None where there is nothing new.

    Raises
    ------
    DataError
        Times that do not lie on the clock of the rows before; a gap that is too long.
    """
    first = int(np.searchsorted(line.times, followed.time, side="right"))
    if first == len(line):
        return None
    line = cut(line, first, len(line), len(line.local))
    gap = _rows_between(followed.time, line.times[0], step)
    if gap is None:
        raise DataError(
            f"new rows must lie on the clock of those before, {seconds(step):g} s apart from {followed.time}. "
            f"Got {line.times[0]}"
        )
    if gap > LARGEST_GAP:
        raise DataError(
            f"new rows must begin at most {LARGEST_GAP} rows after the last one, {followed.time}. "
            f"Got {line.times[0]}: predict from a whole table instead"
        )
    if not gap:
        return line
    times, local = (
        advance(np.array([a, b]), gap + 1, step, first=True)[1:]
        for a, b in ((followed.time, line.times[0]), (followed.local, line.local[0]))
    )
    return replace(
        line,
        times=np.concatenate([times, line.times]),
        local=np.concatenate([local, line.local]),
        y=np.concatenate([np.full(gap, np.nan), line.y]),
        past=np.concatenate([np.full((gap, line.past.shape[1]), np.nan), line.past]),
        future=np.concatenate([np.full((gap, line.future.shape[1]), np.nan), line.future]),
    )


def one_row(
    trained: Trained,
    after_row: tuple[np.datetime64, np.datetime64],
    row: Mapping[str, object],
    target: str,
    line: tuple[str, Array],
) -> Line | None:
    """Return the next row of a line from plain numbers; None where a column is not there as a number.

    Parameters
    ----------
    trained : Trained
    after_row : tuple of datetime64
        Time and wall's clock of the row before.
    row : mapping of column to value
    target : str
    line : tuple of str and ndarray
        Its name and static columns.

    Raises
    ------
    DataError
        A number that is not finite, as in a table; nan is one that is missing.
    """
    encoding = trained.encoding
    found = [row.get(name) for name in (target, *encoding.past)]
    if encoding.future or not all(isinstance(value, (int, float, np.number)) for value in found):
        return None
    try:
        values = np.array([found], np.float64)
    except OverflowError:  # a whole number beyond float64
        values = np.array([[float("nan") if isinstance(value, float) else np.inf for value in found]])
    if np.isinf(values).any():
        k = int(np.argmax(np.isinf(values)))
        raise DataError(
            f"row must hold finite numbers. Got {(target, *encoding.past)[k]} = {found[k]!s:.40}: correct it, or give "
            "nan where it is missing"
        )
    both = after(np.array(after_row), encoding.step)
    return Line(line[0], both[:1], both[1:], values[:, 0], values[:, 1:], np.zeros((1, 0)), line[1])


def _counts_months(step: np.timedelta64) -> bool:
    return np.datetime_data(step.dtype)[0] == "M"


def _rows_between(last: np.datetime64, new: np.datetime64, step: np.timedelta64) -> int | None:
    """Return how many rows are missing between two; None where they do not lie on one clock.

    Of months only the month counts, as in tables: the last day of one lies at another place than that of the next.
    """
    unit = "M" if _counts_months(step) else "s"
    whole = int((new.astype(f"datetime64[{unit}]") - last.astype(f"datetime64[{unit}]")).astype(np.int64))
    rows, rest = divmod(whole, int(step.astype(f"timedelta64[{unit}]").astype(np.int64)))
    return None if rest or rows < 1 else rows - 1
