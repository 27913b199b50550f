"""Forecasts of rows that were not learnt from, and which rows those are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoded, Encoding, to_unit
from bptt.forecast.fitting.choices.choosing import Choice, Trial
from bptt.forecast.fitting.networks.members import Lesson
from bptt.forecast.fitting.readouts.heads import Origins, Sums, make_head, mean_forecast, origin_features
from bptt.forecast.panel import Panel
from bptt.forecast.recipe import Recipe

# Validation forecasts that are compared at most, and numbers in them.
_MOST_ORIGINS, _MOST_NUMBERS = 20_000, 4_000_000


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scaled errors of forecasts of rows that were not learnt from: by line, with the rows they were made after."""

    lines: list[Encoded]
    rows: list[Array]
    errors: list[Array]


def choose_origins(lesson: Lesson, horizon: int, firsts: Sequence[int], stops: Sequence[int]) -> Origins:
    """Return the rows from which only rows firsts..stops-1 are forecast: all of them, or every nth of very many."""
    rows = []
    for first, stop, weights in zip(firsts, stops, lesson.weights, strict=True):
        row = np.arange(max(0, first - 1), max(0, stop - horizon))
        row = row[row < len(weights)]
        rows.append(row[weights[row] > 0])
    most = min(_MOST_ORIGINS, max(500, _MOST_NUMBERS // horizon))
    stride = max(1, -(-sum(map(len, rows)) // most))
    return Origins(lesson, [row[::stride] for row in rows])


def missed(
    encoding: Encoding, origins: Origins, choice: Choice, trials: Sequence[Trial], window: Sums | None
) -> HeldOut:
    """Return what the chosen kind misses the origins by: its networks among the trials, or the window alone."""
    y, _ = origins.truth()
    if choice.kind == "network":
        trial = next(each for each in trials if each.candidate == choice.candidate)
        assert choice.penalty is not None
        heads = [
            make_head(encoding, n, net, choice.penalty)
            for n, net in zip(trial.normals, trial.nets, strict=True)
        ]
        y_hat = mean_forecast(heads, [origin_features(encoding, origins, net) for net in trial.nets])
    elif choice.kind == "ridge":
        assert choice.penalty is not None
        assert window is not None
        y_hat = mean_forecast(
            [make_head(encoding, window, None, choice.penalty)],
            [origin_features(encoding, origins, None)],
        )
    else:
        y_hat = np.zeros_like(y)
    if choice.kind in ("last", "season"):
        encoding = replace(encoding, anchor=choice.kind)
    return judge(encoding, origins, y_hat)


def judge(encoding: Encoding, origins: Origins, y_hat: Array) -> HeldOut:
    """Return what forecasts (n, K) of the origins, in the network's units, miss the truth by."""
    errors, first = [], 0
    k = np.arange(1, encoding.horizon + 1)
    for line, rows in zip(origins.lesson.lines, origins.rows, strict=True):
        part = y_hat[first : first + len(rows)]
        ahead = rows[:, None] + k
        truth = np.where(line.seen[ahead], line.z[line.before + ahead], np.nan)
        errors.append(truth - to_unit(encoding, line, rows, part))
        first += len(rows)
    return HeldOut(origins.lesson.lines, origins.rows, errors)


def repeated(encoding: Encoding, lesson: Lesson) -> HeldOut | None:
    """Return what repeating the last value, or season, misses after all rows: where nothing is learnt, all are unseen.

    A season is repeated from the end of the first one on. None where no row is followed by a whole horizon.
    """
    first = encoding.period if encoding.anchor == "season" else 0
    lengths = [len(line) for line in lesson.lines]
    origins = choose_origins(lesson, encoding.horizon, [first] * len(lengths), lengths)
    count = sum(map(len, origins.rows))
    return judge(encoding, origins, np.zeros((count, encoding.horizon))) if count else None


def changes(encoding: Encoding, lines: list[Encoded]) -> HeldOut:
    """Return what the last value repeated misses, for lines that are shorter than the horizon.

    Each step is judged where half of a line's rows can tell, and is NaN beyond.
    """
    every, errors = [], []
    k = np.arange(1, encoding.horizon + 1)
    for line in lines:
        rows = np.arange(len(line) - 1)
        ahead = rows[:, None] + k
        told = (ahead < len(line)) & (k <= len(line) // 2)
        at = np.minimum(ahead, len(line) - 1)
        truth = np.where(told & line.seen[at], line.z[line.before + at], np.nan)
        every.append(rows)
        errors.append(truth - to_unit(encoding, line, rows, np.zeros(ahead.shape)))
    return HeldOut(lines, every, errors)


def validation_start(rows: int, share: float, horizon: int) -> int:
    """Return the first validation row of a line; its length where it is too short to have any, or `share` is 0."""
    if not share:
        return rows
    count = max(round(share * rows), min(2 * horizon, rows // 2))
    return rows - count if count > horizon else rows


def held_out_blocks(panel: Panel, recipe: Recipe, horizon: int) -> list[list[tuple[int, int]]]:
    """Return the held-out blocks of every line besides the validation rows; none where they would be short.

    Nor are there any where no intervals are asked for.
    """
    if recipe.intervals == "none":
        return []
    parts = recipe.blocks - bool(recipe.validation)
    found = []
    for k in range(parts):
        block = []
        for line in panel:
            stop = validation_start(len(line), recipe.validation, horizon)
            block.append((k * stop // parts, (k + 1) * stop // parts))
        found.append(block)
    least = max((stop - first for first, stop in found[0]), default=0)
    return found if least >= max(4 * horizon, 200) else []
