"""Groups of series: those that one closed form suits share it, so that unlike ones do not have to.

Least squares on the window is solved for each group, every series goes to the group that forecasts it best, and so on,
as in k-means with regressions in the place of means. All of it is closed form, on the rows before validation; whether
there are groups, and how many, is decided by the validation rows. The networks stay those of all series: a group has
its own readout of their states.

References
----------
Späth 1979, "Clusterwise linear regression", Computing 22, 367-373. There the assignment is by single changes; here by
rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoding, encode, to_unit
from bptt.forecast.features.targets import Targets
from bptt.forecast.features.window_path import features, read_window
from bptt.forecast.fitting.networks.members import Lesson
from bptt.forecast.fitting.readouts.heads import Origins, Penalty, first_full, make_head, normal_equations
from bptt.forecast.fitting.trained import Trained
from bptt.forecast.panel import Line, Panel
from bptt.forecast.pieces import cut

# Groups that are tried, series that one must have, and rows for each value of the window.
_TRIED, _LEAST, _ROWS_A_VALUE = (3, 6), 10, 4
# Series that may grow into a group.
_SEED = 3
# A penalty far above that of forecasts: series go to what they have in common, not to what fits them by heart.
_LOOSE = Penalty(np.inf, 0.4)
# Starts, rounds of each, rows that the groups are found from, at most; and rows of a series.
_STARTS, _ROUNDS, _ROWS, _EACH = 3, 6, 60_000, 200
# Horizons by which a line that was not learnt from is put into its group.
_JUDGED = 9
# What groups must gain of the squared error on the validation rows.
_GAIN = 0.02


def choose_groups(
    encoding: Encoding, lesson: Lesson, judge: Callable[[Sequence[int], int], float], seed: int
) -> list[int]:
    """Return each line's group, from 1; nothing where groups do not forecast better, or there are too few series.

    Parameters
    ----------
    encoding : Encoding
        Of the rows before validation, without groups.
    lesson : Lesson
        The same rows.
    judge : callable
        Returns the squared error on the validation rows of least squares with these groups, and so many parts.
    seed : int
    """
    lines, best = len(lesson.lines), list[int]()
    possible = [
        count
        for count in _TRIED
        if lines >= count * _LEAST and lesson.rows >= count * _ROWS_A_VALUE * features(encoding)
    ]
    if not possible:
        return best
    least = (1 - _GAIN) * judge([], 1)
    for count in possible:
        groups = find_groups(encoding, lesson, count, seed)
        parts = 1 + max(groups)
        error = judge(groups, parts) if parts > 2 else np.inf

        if error < least:
            best, least = groups, error
        elif not best and parts > 2:
            break  # series that three groups do not tell apart are of one kind
    return best


def find_groups(encoding: Encoding, lesson: Lesson, count: int, seed: int) -> list[int]:
    """Return the group of each line, from 1: at most so many, each of ten lines or more; the best of some starts."""
    rows = [_some_rows(encoding, lesson, k) for k in range(len(lesson.lines))]
    traits, rng = _traits(encoding, lesson, rows), np.random.default_rng([seed, 7])
    tried = [_settle(encoding, lesson, rows, _alike(traits, count, rng)) for _ in range(_STARTS)]
    group = min(tried, key=lambda each: each[0])[1]
    return [int(number) + 1 for number in np.unique(group, return_inverse=True)[1]]


def _settle(encoding: Encoding, lesson: Lesson, rows: list[Array], group: Array) -> tuple[float, Array]:
    """Return the mean error and the group of each line (S,) once each is where it is forecast best."""
    error = np.inf
    for _ in range(_ROUNDS):
        # A few lines may yet become many; one or two are too little to solve from.
        numbers, sizes = np.unique(group, return_counts=True)
        kept = numbers[sizes >= min(_SEED, sizes.max())]
        errors = _errors(encoding, lesson, rows, [np.flatnonzero(group == number) for number in kept])
        error, moved = float(errors.min(axis=1).mean()), kept[errors.argmin(axis=1)]
        if (moved == group).all():
            break
        group = moved
    # What is too small in the end is dissolved, but for the largest.
    numbers, sizes = np.unique(group, return_counts=True)
    small = np.isin(group, numbers[sizes < min(_LEAST, sizes.max())])
    left = ~np.isin(kept, group[small])
    return error, np.where(small, kept[left][errors[:, left].argmin(axis=1)], group)


def _some_rows(encoding: Encoding, lesson: Lesson, k: int) -> Array:
    """Return the rows of a line that say where it belongs: with a target and a full window, so many at most."""
    count = len(lesson.y[k])
    rows = np.arange(first_full(encoding, count), count)
    rows = rows[lesson.weights[k][rows] > 0]
    return rows[:: max(1, -(-len(rows) // _EACH))]


def _traits(encoding: Encoding, lesson: Lesson, rows: list[Array]) -> Array:
    """Return what lines are first put together by (S, F): how far they move over the horizon, and from a season ago."""
    K, window = encoding.horizon, encoding.window
    steps = np.unique(np.linspace(0, K - 1, 6).round().astype(int))
    back = np.arange(encoding.period, window, encoding.period)[:7]
    found = np.zeros((len(rows), len(steps) + len(back)))
    for k, own in enumerate(rows):
        if len(own):
            line = lesson.lines[k]
            last = line.before + own
            found[k, : len(steps)] = (lesson.y[k][own][:, steps] ** 2).mean(axis=0)
            found[k, len(steps) :] = np.abs(line.z[last[:, None] - back] - line.z[last, None]).mean(axis=0)
    found = np.log(found + 1e-3)
    found -= found.mean(axis=0)
    found /= np.maximum(found.std(axis=0), 1e-9)
    return found


def _alike(traits: Array, count: int, rng: np.random.Generator) -> Array:
    """Return the clusters (S,) of k-means from lines that are drawn the likelier the farther they are from others."""
    centres = traits[rng.choice(len(traits), 1)]
    while len(centres) < count:
        far = ((traits[:, None] - centres) ** 2).sum(axis=2).min(axis=1) + 1e-12
        centres = np.concatenate([centres, traits[rng.choice(len(traits), 1, p=far / far.sum())]])
    group = np.zeros(len(traits), np.intp)
    for _ in range(20):
        group = ((traits[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        for number in range(count):
            if (group == number).any():
                centres[number] = traits[group == number].mean(axis=0)
    return group


def _errors(encoding: Encoding, lesson: Lesson, rows: list[Array], groups: list[Array]) -> Array:
    """Return the mean squared error of each line (S, G) by the closed form of each of these groups of lines."""
    paths = []
    for members in groups:
        own = Lesson(*([each[k] for k in members] for each in (lesson.lines, lesson.y, lesson.weights)))
        paths.append(
            make_head(
                encoding, normal_equations(encoding, own, None, _ROWS // len(groups)), None, _LOOSE
            ).linear
        )
    found = np.zeros((len(rows), len(paths)))
    for k, own_rows in enumerate(rows):
        if len(own_rows):
            window, y = read_window(encoding, lesson.lines[k], own_rows), lesson.y[k][own_rows]
            found[k] = [np.mean((path(window) - y) ** 2) for path in paths]
    return found


def join_groups(trained: Trained, panel: Panel) -> Encoding:
    """Return the encoding with each line that is in no group in the one that forecasts its newest rows best."""
    encoding = trained.encoding
    if encoding.parts == 1:
        return encoding
    groups = [own or _nearest(trained, line) for own, line in zip(encoding.groups, panel, strict=True)]
    return replace(encoding, groups=tuple(groups))


def _nearest(trained: Trained, line: Line) -> int:
    """Return the group whose forecasts of a line's newest rows are best; 0 where none can be judged."""
    encoding = trained.encoding
    newest = cut(line, max(0, len(line) - encoding.reach - _JUDGED * encoding.horizon), len(line))
    encoded = encode(encoding, newest)
    y = Targets(encoding, encoded)
    rows = np.flatnonzero(y.seen > 0)
    rows = rows[rows >= first_full(encoding, len(y))]
    rows = rows[:: max(1, -(-len(rows) // _EACH))]
    if not len(rows):
        return 0
    states, truth = trained.states(encoded, rows), to_unit(encoding, encoded, rows, y[rows])
    errors = [
        np.mean(((trained.ahead(replace(encoded, part=part), rows, states) - truth) / encoding.target) ** 2)
        for part in range(1, encoding.parts)
    ]
    return 1 + int(np.argmin(errors))


def in_groups(
    encoding: Encoding, lesson: Lesson, groups: Sequence[int], parts: int
) -> tuple[Encoding, Lesson]:
    """Return the same rows with each line in its group."""
    if not groups:
        return encoding, lesson
    lines = [replace(line, part=part) for line, part in zip(lesson.lines, groups, strict=True)]
    return replace(encoding, groups=tuple(groups), parts=parts), replace(lesson, lines=lines)


def with_groups(origins: Origins, groups: Sequence[int]) -> Origins:
    """Return the origins with each line in its group."""
    if not groups:
        return origins
    lines = [replace(line, part=part) for line, part in zip(origins.lesson.lines, groups, strict=True)]
    return replace(origins, lesson=replace(origins.lesson, lines=lines))
