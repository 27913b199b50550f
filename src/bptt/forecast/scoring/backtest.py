"""Rolling origin: parts of the history forecast from what came before them, beside the baselines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np

from bptt.checks import Array
from bptt.engine.blas import one_blas_thread
from bptt.errors import DataError
from bptt.forecast.features.calendar import repeatable_season, season
from bptt.forecast.features.encoding import Encoding, backward, to_unit
from bptt.forecast.features.measuring import of_rivals
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.fitting.intervals.moments import moment
from bptt.forecast.fitting.networks.members import Lesson, Tick
from bptt.forecast.fitting.readouts.heads import (
    COLD,
    Origins,
    Penalty,
    encode_panel,
    head_forecast,
    make_head,
    normal_equations,
    origin_features,
)
from bptt.forecast.fitting.running.executors import Threads, Workers
from bptt.forecast.fitting.running.side_by_side import Meter, Notify
from bptt.forecast.fitting.running.travelling import Job
from bptt.forecast.fitting.shelf import Shelf
from bptt.forecast.panel import Panel
from bptt.forecast.pieces import cut
from bptt.forecast.recipe import Recipe
from bptt.forecast.scoring.backtest_result import Backtest
from bptt.forecast.scoring.metrics import Judged, measure, naive_scale
from bptt.forecast.scoring.trees import has_trees, tree_forecast

# What a fold counts for in the progress, where folds are done side by side.
_PARTS = 1000
# Of the history that is forecast, unless the horizon asks for more; forecasts judged of each part.
_SHARE, _ORIGINS = 0.4, 5_000
_RIDGE = Penalty(np.inf, 4e-3)


@dataclass(frozen=True, eq=False)
class _Asked:
    """A backtest as it was asked for: what its folds share."""

    panel: Panel
    horizon: int
    recipe: Recipe
    calendar: str | Sequence[str] | None
    coverage: float
    folds: int
    seed: int
    trees: bool
    search: tuple[Recipe, ...]


@dataclass(frozen=True, eq=False)
class _Fold:
    """What one fold found."""

    judged: dict[str, Judged]
    kind: str
    span: tuple[np.datetime64, np.datetime64]


def run_backtest(
    panel: Panel,
    *,
    horizon: int,
    recipe: Recipe,
    calendar: str | Sequence[str] | None,
    coverage: float,
    folds: int,
    refit: bool,
    seed: int,
    workers: Workers,
    trees: bool,
    notify: Notify,
    search: Sequence[Recipe] = (),
    shelf: Shelf | None = None,
) -> Backtest:
    """Run the folds; scaling, choices and calibration see the rows before each fold alone.

    `search` and `shelf` are as in `fit_panel`.

    Raises
    ------
    DataError
        No line that is long enough for a fold after something to learn from.
    """
    asked = _Asked(
        panel, horizon, recipe, calendar, coverage, folds, seed, trees and has_trees(), tuple(search)
    )
    next(_folds(panel, horizon, folds))  # before anything is sent anywhere
    if refit and workers.apart:
        parts = [None if shelf is None else shelf.under(_named(number)).alone() for number in range(folds)]
        jobs = [Job(_fold_alone, asked, (k, part), _PARTS, np.inf) for k, part in enumerate(parts)]

        def done(_: int, answer: tuple[_Fold, Shelf | None]) -> None:
            if shelf is not None and answer[1] is not None:
                shelf.put_all(answer[1])

        found = [fold for fold, _ in workers.run(jobs, Meter(_PARTS * folds, notify), done)]
    else:
        found, fitted = [], None
        for number in range(folds):
            if fitted is None or refit:
                share = partial(_share_of, notify, number, folds if refit else 1)
                part = None if shelf is None else shelf.under(_named(number))
                fitted = _fit_fold(asked, number, workers, share, part)
            found.append(_judge_fold(asked, number, fitted))
    judged: dict[str, list[Judged]] = {}
    for fold in found:
        for name, each in fold.judged.items():
            judged.setdefault(name, []).append(each)
    return Backtest(
        scores={name: measure(_joined(parts), coverage) for name, parts in judged.items()},
        by_fold=[
            {name: measure(each, coverage)["rmse"] for name, each in fold.judged.items()} for fold in found
        ],
        origins=len(_joined(judged["model"]).y),
        coverage=coverage,
        kinds=tuple(fold.kind for fold in found),
        folds=[fold.span for fold in found],
    )


def _fold_alone(asked: _Asked, number: int, shelf: Shelf | None, tick: Tick) -> tuple[_Fold, Shelf | None]:
    """Return one fold, computed in one thread, and the networks that it needed: the job of a worker."""
    return _judge_fold(asked, number, _fit_fold(asked, number, Threads(1), tick, shelf)), shelf


def _named(number: int) -> str:
    return f"fold {number}"


def _share_of(notify: Notify, number: int, folds: int, done: int, total: int) -> None:
    notify(number * total + done, folds * total)


def _part(asked: _Asked, number: int) -> tuple[Panel, list[int], list[int]]:
    """Return the rows before a fold, and of every line the first row forecast and the end of the fold."""
    panel = asked.panel
    _, firsts, stops = next(islice(_folds(panel, asked.horizon, asked.folds), number, None))
    before = tuple(cut(line, 0, first) for line, first in zip(panel, firsts, strict=True) if first)
    return replace(panel, lines=before), firsts, stops


def _fit_fold(asked: _Asked, number: int, workers: Workers, notify: Notify, shelf: Shelf | None) -> Fitted:
    return fit_panel(
        _part(asked, number)[0],
        horizon=asked.horizon,
        recipe=asked.recipe,
        calendar=asked.calendar,
        seed=asked.seed,
        workers=workers,
        notify=notify,
        search=asked.search,
        shelf=shelf,
    )


def _judge_fold(asked: _Asked, number: int, fitted: Fitted) -> _Fold:
    panel, horizon = asked.panel, asked.horizon
    training, firsts, stops = _part(asked, number)
    earliest = next(_folds(panel, horizon, asked.folds))[1]
    repeated = repeatable_season(panel.step, earliest)
    lines = tuple(cut(line, 0, stop) for line, stop in zip(panel, stops, strict=True))
    with one_blas_thread():
        judged = _judge(
            fitted,
            training,
            replace(panel, lines=lines),
            firsts,
            horizon,
            asked.coverage,
            repeated,
            asked.seed,
            trees=asked.trees,
        )
    longest = max(range(len(panel)), key=lambda k: len(panel.lines[k]))
    times = panel.lines[longest].times
    return _Fold(judged, fitted.trained.kind, (times[firsts[longest]], times[stops[longest] - 1]))


def _folds(panel: Panel, horizon: int, folds: int) -> Iterator[tuple[int, list[int], list[int]]]:
    """Yield the number of each fold, and of every line the first row forecast and the end of the fold."""
    sizes = [max(horizon, round(_SHARE * len(line) / folds)) for line in panel]
    if all(len(line) - folds * size < 2 for line, size in zip(panel, sizes, strict=True)):
        longest = max(map(len, panel))
        raise DataError(
            f"rows must be more than folds * horizon + 2 = {folds} * {horizon} + 2. Got {longest}: use fewer folds"
        )
    for number in range(folds):
        left = folds - number
        firsts = [max(0, len(line) - left * size) for line, size in zip(panel, sizes, strict=True)]
        stops = [
            len(line) - (left - 1) * size if first else len(line)
            for line, size, first in zip(panel, sizes, firsts, strict=True)
        ]
        yield number, [f if f >= 2 else 0 for f in firsts], stops


def _judge(
    fitted: Fitted,
    training: Panel,
    seen: Panel,
    firsts: list[int],
    horizon: int,
    coverage: float,
    repeated: int,
    seed: int,
    *,
    trees: bool,
) -> dict[str, Judged]:
    """Return every method's forecasts of one fold."""
    lines = [(line, first) for line, first in zip(seen, firsts, strict=True) if first]
    panel = replace(seen, lines=tuple(line for line, _ in lines))
    trained, intervals = fitted.trained, fitted.intervals
    encoding = trained.encoding
    lesson = encode_panel(encoding, panel)
    rows = []
    for (_, first), ahead in zip(lines, lesson.y, strict=True):
        row = np.arange(first - 1, len(ahead))
        rows.append(row[:: max(1, -(-len(row) * len(lines) // _ORIGINS))])
    origins = Origins(lesson, rows)
    levels = np.array([(1 - coverage) / 2, (1 + coverage) / 2])

    truth, own, low, high, scales = [], [], [], [], []
    k = np.arange(1, horizon + 1)
    learnt = {line.id: line for line in training}
    for (line, _), each, row in zip(lines, lesson.lines, rows, strict=True):
        z = trained.forecast(each, row)
        offsets = intervals.offsets(
            moment(encoding.calendar, intervals.floor, each, row), levels, around=True
        )
        truth.append(line.y[row[:, None] + k])
        own.append(trained.in_units(each, z))
        low.append(trained.in_units(each, z + offsets[0]))
        high.append(trained.in_units(each, z + offsets[1]))
        scales.append(np.full(len(row), naive_scale(learnt[line.id].y, season(panel.step))))
    y, scale = np.concatenate(truth), np.concatenate(scales)
    found = {"model": Judged(y, np.concatenate(own), np.concatenate(low), np.concatenate(high), scale)}

    encoding = of_rivals(encoding)
    before = encode_panel(encoding, training)
    origins = Origins(encode_panel(encoding, panel), rows)
    past = Origins(before, [np.arange(min(COLD, len(y) // 4), len(y)) for y in before.y])
    if not sum(map(len, past.rows)):
        return found
    for name, both in _baselines(encoding, before, past, origins, repeated, seed, trees=trees):
        found[name] = _with_constant_intervals(encoding, past, origins, both, y, scale, levels)
    return found


def _baselines(
    encoding: Encoding,
    before: Lesson,
    past: Origins,
    origins: Origins,
    period: int,
    seed: int,
    *,
    trees: bool,
) -> Iterator[tuple[str, tuple[Array, Array]]]:
    """Yield the name of each baseline with its forecasts of training rows and of the fold, in the network's units."""
    for name in ("last", "season") if period > 1 else ("last",):
        yield name, (_naive(encoding, past, name, period), _naive(encoding, origins, name, period))
    window = normal_equations(encoding, before, None, 200_000)
    head = make_head(encoding, window, None, _RIDGE)
    yield (
        "ridge",
        (
            head_forecast(head, origin_features(encoding, past, None)),
            head_forecast(head, origin_features(encoding, origins, None)),
        ),
    )
    if trees:
        y_hat = tree_forecast(encoding.calendar, past, origins, seed)
        # Their errors on what they were fitted to say nothing: no interval.
        yield "trees", (np.full((sum(map(len, past.rows)), encoding.horizon), np.nan), y_hat)


def _naive(encoding: Encoding, origins: Origins, anchor: str, period: int) -> Array:
    other = replace(encoding, anchor=anchor, period=period)
    back = other.anchors()
    parts = []
    for line, rows in zip(origins.lesson.lines, origins.rows, strict=True):
        at = rows[:, None] - back
        # A row before which there is no whole season repeats its own value.
        place = line.before + np.where(at < 0, rows[:, None], at)
        own = line.z[line.before + rows[:, None] - encoding.anchors()]
        parts.append((line.z[place] - own) / encoding.target)
    return np.concatenate(parts)


def _with_constant_intervals(
    encoding: Encoding,
    past: Origins,
    origins: Origins,
    both: tuple[Array, Array],
    y: Array,
    scale: Array,
    levels: Array,
) -> Judged:
    """Return a baseline's forecasts, with intervals from the quantiles of its errors on the training rows."""
    fitted, y_hat = both
    errors = past.truth()[0] - fitted
    some = errors[:: max(1, len(errors) // 20_000)]
    offsets = (
        np.nanquantile(some, levels, axis=0) if np.isfinite(some).all() else np.full((2, y.shape[1]), np.nan)
    )
    parts: list[list[Array]] = [[], [], []]
    first = 0
    for line, rows in zip(origins.lesson.lines, origins.rows, strict=True):
        own = y_hat[first : first + len(rows)]
        for k, each in enumerate((own, own + offsets[0], own + offsets[1])):
            z = to_unit(encoding, line, rows, each)
            parts[k].append(backward(z * line.scale + line.centre, encoding.transform))
        first += len(rows)
    middle, low, high = (np.concatenate(each) for each in parts)
    return Judged(y, middle, low, high, scale)


def _joined(parts: list[Judged]) -> Judged:
    return Judged(
        *(
            np.concatenate([getattr(each, name) for each in parts])
            for name in ("y", "y_hat", "low", "high", "scale")
        )
    )
