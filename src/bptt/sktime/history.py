"""From sktime's frames to the panel that a forecaster learns from, and from its forecasts back to rows of an index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bptt.checks import Array
from bptt.errors import DataError
from bptt.forecast.panel import Line, Panel
from bptt.sktime.clock import Clock


@dataclass(frozen=True, eq=False)
class History:
    """What was seen of all series.

    Attributes
    ----------
    y : DataFrame
        One or more columns, each a series of its own; levels of the index before the last name the instance.
    X : DataFrame or None
    """

    y: pd.DataFrame
    X: pd.DataFrame | None

    def instances(self) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
        """Return name and rows of each instance, in the order of the frame."""
        return list(_instances(self.y))

    def joined(self, later: History) -> History:
        """Return this and what came later; rows that were there already stay as they were."""
        return History(_join(self.y, later.y), _join(self.X, later.X))

    def until(self, cutoff: Any) -> History:
        """Return the rows of y up to a time; X keeps its own."""
        times = self.y.index.get_level_values(-1)
        return self if times.max() <= cutoff else History(self.y[times <= cutoff], self.X)

    def indices(self) -> list[pd.Index]:
        """Return the times of each instance."""
        return [frame.index for _, frame in self.instances()]


@dataclass(frozen=True, eq=False)
class Made:
    """A panel, and where each instance ends.

    Attributes
    ----------
    panel : Panel
    ends : dict of instance to time
    """

    panel: Panel
    ends: dict[tuple[Any, ...], Any]


def make_panel(
    history: History,
    clock: Clock,
    past: Sequence[str],
    future: Sequence[str],
    ahead: int = 0,
    known: pd.DataFrame | None = None,
) -> Made:
    """Return the panel of a history, whose X is known `ahead` rows more.

    Parameters
    ----------
    history : History
    clock : Clock
    past, future : sequence of str
        Columns of X that are measured together with y, and known ahead.
    ahead : int
    known : DataFrame, optional
        X of rows to be forecast.

    Raises
    ------
    DataError
        Rows beside the clock, or twice; an instance that X lacks; two series of one name.
    """
    X = _join(history.X, known)
    beside = {} if X is None else dict(_instances(X))
    lines: list[Line] = []
    ends = {}
    for key, frame in history.instances():
        rows = clock.between(frame.index[0], frame.index[-1])
        count = len(rows)
        place = clock.places(rows, frame.index)
        _check_once(frame.index)
        every = rows.append(clock.after(rows[-1], ahead)) if ahead else rows
        times, local = clock.times(every)
        block = _laid(beside.get(key), every, [*past, *future], key)
        values = np.full((count, frame.shape[1]), np.nan)
        values[place] = frame.to_numpy(np.float64)
        lines.extend(
            Line(
                series_name(key, column if frame.shape[1] > 1 else None),
                times[:count],
                local,
                values[:, k],
                block[:count, : len(past)],
                block[:, len(past) :],
                np.zeros(0),
            )
            for k, column in enumerate(frame.columns)
        )
        ends[key] = rows[-1]
    names = [line.id for line in lines]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"instances must have names of their own. Got {twice!r} twice: rename one")
    return Made(Panel(tuple(lines), "y", tuple(past), tuple(future), (), clock.step), ends)


def series_name(key: tuple[Any, ...], column: Any = None) -> str:
    """Return the name of a series in the panel: its instance and, of several, its column."""
    return "/".join(map(str, key if column is None else (*key, column)))


def _instances(frame: pd.DataFrame) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    levels = frame.index.nlevels - 1
    if not levels:
        yield (), frame
        return
    for key, part in frame.groupby(level=list(range(levels)), sort=False):
        yield key if isinstance(key, tuple) else (key,), part.droplevel(list(range(levels)))


def _join(before: pd.DataFrame | None, later: pd.DataFrame | None) -> pd.DataFrame | None:
    if before is None or later is None:
        return later if before is None else before
    new = later.loc[~later.index.isin(before.index), list(before.columns)]
    return before if new.empty else pd.concat([before, new]).sort_index()


def _laid(frame: pd.DataFrame | None, rows: pd.Index, names: Sequence[str], key: tuple[Any, ...]) -> Array:
    """Return columns of X at these rows, float64 (N, C), NaN where it has none."""
    if not names:
        return np.zeros((len(rows), 0))
    if frame is None:
        raise DataError(f"X must hold every instance of y. Got none called {series_name(key)!r}")
    _check_once(frame.index)
    found: Array = frame[list(names)].reindex(rows).to_numpy(np.float64)
    return found


def _check_once(times: pd.Index) -> None:
    if times.has_duplicates:
        raise DataError(
            f"index must hold every time once. Got {times[times.duplicated()][0]} twice: drop or average these rows"
        )
