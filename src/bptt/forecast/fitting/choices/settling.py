"""What is settled in closed form before any network is trained: transform, window, how far each line is trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoding, backward, to_unit
from bptt.forecast.features.window_path import read_window
from bptt.forecast.fitting.networks.members import Lesson
from bptt.forecast.fitting.readouts.heads import (
    WITHOUT_NETWORK,
    Origins,
    Penalty,
    head_forecast,
    make_head,
    normal_equations,
    origin_features,
)
from bptt.forecast.panel import Panel
from bptt.forecast.recipe import Recipe
from bptt.forecast.scoring.metrics import naive_scale

# Seasons in the linear path's window, and rows at most; twice as many of both may be tried for horizons of two
# seasons and more.
_SEASONS, _MOST_WINDOW, _LONG = 7, 336, 2
# Lines whose relative errors are worth a decision.
MANY = 20
# Rows that the decisions are made from, at most.
_ROWS = 60_000
# A line's weight is the inverse of its squared error, this part of the usual one added; twice over.
_FLOOR, _ROUNDS = 0.4, 3
# Rows for each value of the window, at least; of short histories fewer, so that it holds two seasons of months.
_ROWS_A_VALUE, _ROWS_A_VALUE_OF_FEW, _SHORT = 6, 4, 1000
# The share of a series that is exactly 0 where 0 is its end and no value like others.
_OFTEN = 0.05
_USUAL = Penalty(np.inf, 4e-3)


@dataclass(frozen=True, eq=False)
class Settled:
    """One option, made ready to be judged."""

    encoding: Encoding
    lesson: Lesson
    origins: Origins


def window_options(period: int, horizon: int) -> list[int]:
    """Return the windows that may be tried where the recipe does not say, the usual one first."""
    usual = min(max(24, _SEASONS * period), _MOST_WINDOW)
    return [usual, _LONG * usual] if period > 1 and horizon >= _LONG * period else [usual]


def longest_window(panel: Panel) -> int:
    """Return the longest window that these lines can fill."""
    longest, rows = max(map(len, panel)), sum(map(len, panel))
    return max(1, min(longest // 2, rows // (_ROWS_A_VALUE_OF_FEW if rows < _SHORT else _ROWS_A_VALUE)))


def longer_windows(recipe: Recipe, panel: Panel, period: int, horizon: int) -> list[Recipe]:
    """Return the recipe with each window that may be tried, or as it is."""
    if recipe.window is not None:
        return [recipe]
    most = longest_window(panel)
    options = window_options(period, horizon)
    return [recipe] + [replace(recipe, window=each) for each in options[1:] if each <= most]


def read_level(recipe: Recipe, period: int, horizon: int) -> str:
    """Return what the newest value is read as: two seasons ahead and more its distance from the window's mean.

    So far ahead a history holds few forecasts that are independent of each other, too few to learn from them to which
    level a series returns; on the validation rows that follow it looks as if it could be learnt, a year later not.
    """
    return recipe.level or ("window" if period > 1 and horizon >= _LONG * period else "own")


def first_head(recipe: Recipe, horizon: int) -> str:
    """Return the head that is tried first: the one asked for, direct for a single row, where all are the same."""
    return "direct" if recipe.head == "auto" or horizon == 1 else recipe.head


def transform_options(recipe: Recipe, panel: Panel, period: int, horizon: int) -> list[Recipe]:
    """Return the recipe without and with a logarithm: of many lines that are never negative; or as it is."""
    plain = stopped_at_zero(recipe, panel)
    if recipe.transform is not None or len(panel) < MANY or not period or not horizon:
        return [plain]
    if any(bool((line.y < 0).any()) for line in panel):
        return [plain]
    return [replace(plain, transform=plain.transform or "none"), replace(recipe, transform="log1p")]


def stopped_at_zero(recipe: Recipe, panel: Panel) -> Recipe:
    """Return the recipe with forecasts that stop at 0, where it leaves that open and the target does so itself."""
    if recipe.transform is None and rests_at_zero(panel):
        return replace(recipe, transform="nonnegative")
    return recipe


def rests_at_zero(panel: Panel) -> bool:
    """Return whether the target is never negative and in some series often 0: a demand, the sun's power, rain.

    What is only above 0 so far, as a temperature in summer, need not stay there.
    """
    known = [line.y[np.isfinite(line.y)] for line in panel]
    return not any(bool((y < 0).any()) for y in known) and any(
        float((y == 0).mean()) >= _OFTEN for y in known if y.size
    )


def weigh_lines(encoding: Encoding, lesson: Lesson, panel: Panel) -> dict[str, float]:
    """Return how much a row of each line counts, so that noisy ones do not drown the rest; nothing for one line.

    Notes
    -----
    Generalised least squares in a few rounds: 1 / mean squared error of the ridge on the window, by line; a mean of 1.
    """
    if len({line.id for line in panel}) < 2 or not lesson.rows:
        return {}
    stride = max(1, -(-lesson.rows // _ROWS))
    trust = np.ones(len(panel))
    for _ in range(_ROUNDS):
        weighted = replace(lesson, weights=[w * a for w, a in zip(lesson.weights, trust, strict=True)])
        linear = make_head(encoding, normal_equations(encoding, weighted, None, _ROWS), None, _USUAL).linear
        errors = np.full(len(panel), np.nan)
        for k, line in enumerate(lesson.lines):
            rows = np.arange(min(encoding.window - 1, len(lesson.y[k]) // 2), len(lesson.y[k]), stride)
            rows = rows[lesson.weights[k][rows] > 0]
            if len(rows):
                own = linear.part(line.part, encoding.parts)
                errors[k] = np.mean((own(read_window(encoding, line, rows)) - lesson.y[k][rows]) ** 2)
        usual = float(np.nanmedian(errors)) if np.isfinite(errors).any() else 0.0
        if not usual:
            return {}
        errors = np.where(np.isfinite(errors), errors, usual)
        trust = 1.0 / (errors + _FLOOR * usual)
        counts = np.array([len(y) for y in lesson.y])
        trust *= counts.sum() / (trust @ counts)
    return {line.id: float(a) for line, a in zip(panel, trust, strict=True)}


def _forecasts(option: Settled) -> list[Array]:
    """Return least squares' forecasts of all origins (n, K) at each penalty, in the network's units."""
    normal = normal_equations(option.encoding, option.lesson, None, _ROWS)
    features = origin_features(option.encoding, option.origins, None)
    return [head_forecast(make_head(option.encoding, normal, None, p), features) for p in WITHOUT_NETWORK]


def square_error(option: Settled) -> float:
    """Return the least mean squared error, in scaled units, the lines weighed."""
    y, weights = option.origins.truth()
    errors = [
        float((((y_hat - y) * option.encoding.target) ** 2).mean(axis=1) @ weights)
        for y_hat in _forecasts(option)
    ]
    return min(errors) / float(weights.sum())


def penalty_errors(option: Settled) -> tuple[Array, float]:
    """Return the mean squared error (P,) at each of `WITHOUT_NETWORK`, in the network's units, and the weights' sum."""
    y, weights = option.origins.truth()
    mass = float(weights.sum())
    errors = [float(((y_hat - y) ** 2).mean(axis=1) @ weights) / mass for y_hat in _forecasts(option)]
    return np.array(errors), mass


def relative_error(option: Settled) -> float:
    """Return the least mean of two errors that do not depend on the lines' units, in the source's values.

    One is relative to the season's usual change, the other to the values' size; each relative to that of repeating
    the last season.
    """
    encoding, origins = option.encoding, option.origins
    k = np.arange(1, encoding.horizon + 1)

    def measured(y_hat: Array | None) -> Array:
        found, first = [], 0
        for line, rows in zip(origins.lesson.lines, origins.rows, strict=True):
            part = slice(first, first + len(rows))
            first += len(rows)
            if not len(rows):
                continue
            at = line.before + rows[:, None]
            if y_hat is None:
                z = line.z[at - (-k % encoding.period)]
            else:
                z = to_unit(encoding, line, rows, y_hat[part])
            said, true = (
                backward(each * line.scale + line.centre, encoding.transform) for each in (z, line.z[at + k])
            )
            level = backward(line.z[line.before :] * line.scale + line.centre, encoding.transform)
            size, scale = np.abs(said - true), naive_scale(level[: rows[0] + 1], encoding.period)
            both = np.maximum(np.abs(said) + np.abs(true), 1e-300)
            if scale > 0:
                found.append([(size / scale).mean(), (size / both).mean()])
        return np.mean(found, axis=0) if found else np.ones(2)

    naive = np.maximum(measured(None), 1e-300)
    return min(float((measured(y_hat) / naive).mean()) for y_hat in _forecasts(option))
