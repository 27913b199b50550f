"""Values that look wrong: impossible ones, stand-ins for missing, sensors that froze, columns that say nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bptt.checks import Array
from bptt.forecast.tables.layout import Finding

# What loggers write where they have no value.
_STAND_INS = (-9999.0, -999.0, -99.0, 999.0, 9999.0, 99999.0, -99999.0, 32767.0, -32768.0)
# An extreme value is far outside if it lies so many times further from the median than the next few extremes do.
_FAR = 5.0
# A single value is a spike if it leaps so many times further than nearly all changes, there and back.
_LEAP = 15.0
_FEW = 3
# Rows in which every column repeats: so many in a row are a sensor that hangs.
_FROZEN_ROWS = 6
_FROZEN_VALUES = 24
_LIVELY = 0.3
# A value that so many rows have is where the column rests.
_COMMON = 0.05
_HALF = 0.5
_SHOWN = 3

Where = Callable[[int, int], str]


def find_suspects(name: str, lines: Sequence[Array], where: Where) -> list[Finding]:
    """Return what is odd about one column of numbers.

    Parameters
    ----------
    lines : sequence of ndarray (T,)
        The column in each series; NaN where missing.
    where : callable
        Turns (series, row) into the words for a place.
    """
    every = np.concatenate(lines)
    known = every[~np.isnan(every)]
    if not known.size:
        return [Finding("empty", f"{name}: no value at all", name, 0, warning=True)]
    if known.size < 2 or (known == known[0]).all():
        zero = " (an all-zero series)" if known[0] == 0 else ""
        text = f"{name}: constant, {known[0]:g} in all {known.size:,} rows{zero}"
        return [Finding("constant", text, name, known.size, warning=True)]
    # Of numbers near the ends of float64 differences are infinite, which no rule below takes amiss.
    with np.errstate(over="ignore", invalid="ignore"):
        return _look(name, known, lines, where)


def _look(name: str, known: Array, lines: Sequence[Array], where: Where) -> list[Finding]:
    found = _stand_ins(name, known, lines, where)
    if not found:
        found += _far_outside(name, known, lines, where)
    if not found:
        found += _spikes(name, lines, where)
    found += _broken_grid(name, known)
    return found


def find_frozen(names: Sequence[str], lines: Sequence[Array], where: Where) -> list[Finding]:
    """Return blocks of rows that repeat each other: in all columns that change at all, or in several at once for long.

    Parameters
    ----------
    lines : sequence of ndarray (T, C)
        All columns of numbers of each series.
    """
    alive = [k for k in range(len(names)) if any(np.nan_to_num(np.diff(v[:, k])).any() for v in lines)]
    if not alive:
        return []
    # A column that rests often (rain, a switch) may rest for long.
    lively = [k for k in alive if np.mean(np.concatenate([np.diff(v[:, k]) != 0 for v in lines])) > _LIVELY]
    blocks: list[tuple[int, int, int, list[int]]] = []
    for k, values in enumerate(lines):
        same = np.zeros(values.shape, bool)
        same[1:] = np.diff(values, axis=0) == 0
        every = np.asarray(same[:, alive].all(axis=1))
        least = _FROZEN_ROWS if len(alive) > 1 and lively else _least(every)
        own = [
            (k, first, count, alive)
            for first, count in _runs(every, least)
            if len(alive) == 1 or not _at_rest(values[:, lively], first, count)
        ]
        if len(alive) > 1:
            own += _resting(k, same, lively, own)
        blocks += own
    if not blocks:
        return []
    blocks.sort(key=lambda block: -block[2])
    rows = sum(block[2] for block in blocks)
    k, first, count, columns = blocks[0]
    if len(columns) == 1:
        which = f"{names[columns[0]]} repeats"
    elif columns == alive:
        which = f"all {len(columns)} columns of numbers repeat"
    else:
        which = f"{', '.join(names[c] for c in columns[:_SHOWN])} repeat together"
    rest = len(blocks) - 1
    others = f", and in {rest} other block{'' if rest == 1 else 's'}, {rows:,} rows in all" if rest else ""
    text = f"frozen: {which} for {count} rows from {where(k, first)} on{others}"
    return [Finding("frozen", text, "", rows, warning=True)]


def _resting(
    k: int, same: Array, lively: Sequence[int], known: Sequence[tuple[int, int, int, list[int]]]
) -> list[tuple[int, int, int, list[int]]]:
    """Return the blocks in which lively columns rest for long, two or more at once or one alone, and others go on."""
    rest = np.zeros((len(same), len(lively)), bool)
    for c, column in enumerate(lively):
        for first, count in _runs(same[:, column], _FROZEN_VALUES):
            rest[first + 1 : first + count, c] = True
    for _, first, count, _ in known:
        rest[first : first + count] = False
    found = []
    for first, count in _runs(np.asarray(rest.sum(axis=1) > 1), _FROZEN_VALUES):
        inside = rest[first + 1 : first + count]
        found.append((k, first, count, [lively[int(c)] for c in np.flatnonzero(inside.mean(axis=0) > _HALF)]))
        rest[first + 1 : first + count] = False
    for c, column in enumerate(lively):
        found += [(k, first, count, [column]) for first, count in _runs(rest[:, c], _least(same[:, column]))]
    return found


def _least(same: Array) -> int:
    """Return how many equal rows are odd: many more than the usual runs."""
    runs = [count for _, count in _runs(same, 1)]
    usual = float(np.quantile(runs, 0.9)) if len(runs) > 10 else 1.0
    return max(_FROZEN_VALUES, int(10 * usual))


def _at_rest(values: Array, first: int, count: int) -> bool:
    """Return whether all these columns stay at a value that is common elsewhere: a demand is 0 on most days."""
    others = np.delete(values, np.s_[first : first + count], axis=0)
    if not others.size:
        return False
    return bool(((others == values[first]).mean(axis=0) >= _COMMON).all())


def _runs(flags: Array, least: int) -> list[tuple[int, int]]:
    """Return (first, count) of runs of at least `least` flags; the row before the first flag is counted too."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [
        (int(a) - 1, int(b - a) + 1)
        for a, b in zip(begins, ends, strict=True)
        if b - a >= least - 1 and b > a
    ]


def _places(lines: Sequence[Array], bad: Callable[[Array], Array], where: Where) -> tuple[int, str]:
    told: list[str] = []
    count = 0
    for k, values in enumerate(lines):
        rows = np.flatnonzero(bad(values))
        count += rows.size
        told += [f"{values[row]:,.10g} at {where(k, int(row))}" for row in rows[: _SHOWN - len(told)]]
    return count, ", ".join(told) + (f" and {count - _SHOWN} more" if count > _SHOWN else "")


def _stand_ins(name: str, known: Array, lines: Sequence[Array], where: Where) -> list[Finding]:
    found = []
    for value in _STAND_INS:
        count = int((known == value).sum())
        rest = known[known != value]
        if not count or rest.size < 2:
            continue
        low, high = float(rest.min()), float(rest.max())
        beyond = value - high if value > high else low - value
        if beyond > max(high - low, 1.0):
            _, told = _places(lines, lambda v, value=value: v == value, where)  # type: ignore[misc]  # bound now
            rows = f"{count:,} row{'' if count == 1 else 's'}"
            text = f"{name}: {value:g} stands in {rows}, far from all other values: perhaps missing ({told})"
            found.append(Finding("stand-in", text, name, count, warning=True))
    return found


def _far_outside(name: str, known: Array, lines: Sequence[Array], where: Where) -> list[Finding]:
    if known.size < 10:
        return []
    order = np.sort(known)
    few = max(_FEW, known.size // 1000)
    middle = float(np.median(order))
    low, high = float(order[few]), float(order[-1 - few])
    quarter = float(order[int(0.75 * known.size)] - order[int(0.25 * known.size)])
    above = high + _FAR * max(high - middle, quarter)
    below = low - _FAR * max(middle - low, quarter)
    if above <= high or below >= low:  # mostly one value: nothing to compare with
        spread = max(high - middle, middle - low)
        above, below = (
            (above if above > high else high + _FAR * spread),
            (below if below < low else low - _FAR * spread),
        )
        if spread == 0:
            return []
    count, told = _places(lines, lambda v: (v > above) | (v < below), where)
    if not count:
        return []
    text = f"{name}: {told}, far outside {low:,.10g} to {high:,.10g} where nearly all values lie"
    return [Finding("outlier", text, name, count, warning=True)]


def _spikes(name: str, lines: Sequence[Array], where: Where) -> list[Finding]:
    changes = [np.diff(values) for values in lines]
    every = np.abs(np.concatenate(changes))
    every = every[~np.isnan(every)]
    if every.size < 50:
        return []
    usual = float(np.quantile(every, 0.99))
    if usual == 0:
        return []

    def bad(values: Array) -> Array:
        flags = np.zeros(values.size, bool)
        step = np.diff(values)
        flags[1:-1] = (
            (np.abs(step[:-1]) > _LEAP * usual)
            & (np.abs(step[1:]) > _LEAP * usual)
            & (np.sign(step[:-1]) != np.sign(step[1:]))
        )
        return flags

    count, told = _places(lines, bad, where)
    if not count:
        return []
    text = f"{name}: leaps to {told} and back, where 99 % of changes are below {usual:,.4g}"
    return [Finding("jump", text, name, count, warning=True)]


def _broken_grid(name: str, known: Array) -> list[Finding]:
    """Say where a few values among whole numbers are none."""
    odd = known != np.round(known)
    count = int(odd.sum())
    if not 0 < count <= known.size // 1000:
        return []
    first = f"{known[odd][0]:.10g}"
    text = (
        f"{name}: {count} of {known.size:,} values are no whole numbers (the first {first}), all others are"
    )
    return [Finding("resolution", text, name, count)]
