"""A fit rehearsed: the newest rows forecast by a model that has not seen them, kept row by row for a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array, check_number
from bptt.engine.threads import available_cpus
from bptt.errors import DataError
from bptt.forecast.features.calendar import repeatable_season, season
from bptt.forecast.features.encoding import Encoded, Encoding, backward, to_unit
from bptt.forecast.features.measuring import of_rivals
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.fitting.intervals.moments import moment
from bptt.forecast.fitting.readouts.heads import (
    COLD,
    WITHOUT_NETWORK,
    Origins,
    encode_panel,
    head_forecast,
    make_head,
    normal_equations,
    origin_features,
)
from bptt.forecast.fitting.running.executors import Workers
from bptt.forecast.fitting.running.side_by_side import Notify
from bptt.forecast.fitting.shelf import Shelf
from bptt.forecast.panel import Line, Panel
from bptt.forecast.pieces import cut
from bptt.forecast.recipe import Recipe
from bptt.forecast.scoring.backtest_result import TITLES
from bptt.forecast.scoring.metrics import Judged, measure, naive_scale
from bptt.forecast.scoring.trees import has_trees, tree_forecast

# Forecasts judged, and rows that the ridge beside is solved from, at most.
_ORIGINS, _ROWS = 10_000, 200_000
# Means that differ by less are one.
_TIE = 1e-3
_RIDGE = WITHOUT_NETWORK[1]
# Errors in a row that are kept for their autocorrelation.
_RESIDUALS = 20_000


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Forecasts of rows that were kept aside.

    Attributes
    ----------
    methods : dict of str to Judged
        "model" and the baselines: each forecast (n, K) beside the truth.
    scores : dict of str to dict of str to ndarray (K,)
        As `Backtest.scores`.
    local : ndarray datetime64[s] (n, K)
        The wall's clock at each target; NaT where rows are only counted.
    series : ndarray of int (n,)
        Which line of the panel each forecast belongs to.
    rows : ndarray of int (n,)
        The line's row that each forecast was made after.
    residuals : ndarray float64 (M,)
        Truth minus forecast one step ahead, of the longest line, every row in order; NaN where there is no truth.
    fitted : Fitted
        The model that was judged: trained on the rows before.
    coverage : float
        That the intervals aim at.
    first : datetime64
        First time that was kept aside, in the longest line.
    """

    methods: dict[str, Judged]
    scores: dict[str, dict[str, Array]]
    local: Array
    series: Array
    rows: Array
    residuals: Array
    fitted: Fitted
    coverage: float
    first: np.datetime64

    @property
    def best_baseline(self) -> str:
        """The baseline with the smallest mean RMSE over the horizon."""
        means = {name: _mean(scores["rmse"]) for name, scores in self.scores.items() if name != "model"}
        return min(means, key=lambda name: means[name])

    @property
    def outcome(self) -> str:
        """Whether the model's mean RMSE "wins" against that of every baseline, "ties" with the best, or "loses"."""
        own, other = (_mean(self.scores[name]["rmse"]) for name in ("model", self.best_baseline))
        if abs(own - other) <= _TIE * other:
            return "ties"
        return "wins" if own < other else "loses"

    def verdict(self, unit: str = "") -> str:
        """Return what the scores mean, in one sentence."""
        own, other = self.scores["model"]["rmse"], self.scores[self.best_baseline]["rmse"]
        both = np.isfinite(own) & np.isfinite(other)
        worse = int((own[both] > other[both]).sum())
        words = f" {unit}" if unit else ""
        means = f"RMSE {_mean(own):.4g} against {_mean(other):.4g}{words}"
        title = TITLES[self.best_baseline]
        if self.outcome == "ties":
            why = "" if self.fitted.trained.kind == "network" else ": it stepped back to a simple method"
            return f"the model is as good as its best baseline, {title}, not better{why}: {means}"
        if self.outcome == "loses":
            return f"the model LOSES to its best baseline, {title}: {means}"
        where = "" if not worse else f", though not at {worse} of {both.sum()} steps"
        return f"the model beats its best baseline, {title}: {means}{where}"


def rehearse(
    panel: Panel,
    *,
    horizon: int,
    recipe: Recipe,
    calendar: str | Sequence[str] | None = "auto",
    coverage: float = 0.9,
    share: float = 0.2,
    seed: int = 0,
    threads: int | None = None,
    workers: Workers | None = None,
    trees: bool = True,
    notify: Notify = lambda *_: None,
    search: Sequence[Recipe] = (),
    shelf: Shelf | None = None,
) -> Rehearsal:
    """Train on the rows before the last `share` of every line, and forecast those, beside the baselines.

    Scaling, choices, calibration and baselines see the rows before alone. `search` and `shelf` are as in `fit_panel`.

    Raises
    ------
    DataError
        No line long enough to be parted.
    """
    check_number("share", share, above=0.0, below=1.0)
    firsts = [_first_kept(len(line), share, horizon) for line in panel]
    if not any(firsts):
        raise DataError(
            f"rows must be at least 4 * horizon + 2 = {4 * horizon + 2} to keep some aside. Got {max(map(len, panel))}"
        )
    training = tuple(cut(line, 0, first) for line, first in zip(panel, firsts, strict=True) if first)
    fitted = fit_panel(
        replace(panel, lines=training),
        horizon=horizon,
        recipe=recipe,
        calendar=calendar,
        seed=seed,
        threads=threads,
        workers=workers,
        notify=notify,
        search=search,
        shelf=shelf,
    )
    side_by_side = (threads or available_cpus()) if trees and has_trees() else 0
    return _judge(fitted, panel, training, firsts, horizon, coverage, seed, side_by_side)


def _first_kept(rows: int, share: float, horizon: int) -> int:
    """Return the first row that is kept aside, 0 where the line is too short."""
    kept = max(round(share * rows), 2 * horizon)
    return rows - kept if rows - kept >= 2 * horizon + 2 else 0


def _judge(
    fitted: Fitted,
    panel: Panel,
    training: tuple[Line, ...],
    firsts: Sequence[int],
    horizon: int,
    coverage: float,
    seed: int,
    trees: int,
) -> Rehearsal:
    # `trees` says how many of their steps are fitted at a time; 0 leaves them out.
    trained, encoding = fitted.trained, fitted.trained.encoding
    period = season(panel.step)
    which = [k for k, first in enumerate(firsts) if first]
    lines = [panel.lines[k] for k in which]
    lesson = encode_panel(encoding, replace(panel, lines=tuple(lines)))
    every = [np.arange(firsts[k] - 1, len(y)) for k, y in zip(which, lesson.y, strict=True)]
    stride = max(1, -(-sum(map(len, every)) // _ORIGINS))
    rows = [row[::stride] for row in every]
    origins = Origins(lesson, rows)
    levels = np.array([(1 - coverage) / 2, (1 + coverage) / 2])
    ahead = np.arange(1, horizon + 1)

    y, own, low, high, local, scales = [], [], [], [], [], []
    for line, each, row, k in zip(lines, lesson.lines, rows, which, strict=True):
        z = trained.forecast(each, row)
        offsets = fitted.intervals.offsets(
            moment(encoding.calendar, fitted.intervals.floor, each, row), levels, around=True
        )
        y.append(line.y[row[:, None] + ahead])
        own.append(trained.in_units(each, z))
        low.append(trained.in_units(each, z + offsets[0]))
        high.append(trained.in_units(each, z + offsets[1]))
        local.append(line.local[row[:, None] + ahead])
        scales.append(np.full(len(row), naive_scale(line.y[: firsts[k]], period)))
    truth, scale = np.concatenate(y), np.concatenate(scales)
    methods = {"model": Judged(truth, np.concatenate(own), np.concatenate(low), np.concatenate(high), scale)}
    longest = max(range(len(lines)), key=lambda k: len(lines[k]))
    residuals = _one_step(fitted, lesson.lines[longest], lines[longest].y, every[longest])

    encoding = of_rivals(encoding)
    before = encode_panel(encoding, replace(panel, lines=training))
    past = Origins(before, [np.arange(min(COLD, len(rest) // 4), len(rest)) for rest in before.y])
    origins = Origins(encode_panel(encoding, replace(panel, lines=tuple(lines))), rows)
    window = normal_equations(encoding, before, None, _ROWS)
    found = {"last": _naive(encoding, origins, "last", period)}
    if repeatable_season(panel.step, firsts) > 1:
        found["season"] = _naive(encoding, origins, "season", period)
    if sum(map(len, past.rows)):
        ridge = make_head(encoding, window, None, _RIDGE)
        found["ridge"] = head_forecast(ridge, origin_features(encoding, origins, None))
        if trees:
            found["trees"] = tree_forecast(encoding.calendar, past, origins, seed, threads=trees)
    nothing = np.full_like(truth, np.nan)
    for name, y_hat in found.items():
        methods[name] = Judged(truth, _in_units(encoding, origins, y_hat), nothing, nothing, scale)
    return Rehearsal(
        methods=methods,
        scores={name: measure(each, coverage) for name, each in methods.items()},
        local=np.concatenate(local),
        series=np.repeat(which, [len(row) for row in rows]),
        rows=np.concatenate(rows),
        residuals=residuals,
        fitted=fitted,
        coverage=coverage,
        first=lines[longest].times[firsts[which[longest]]],
    )


def _naive(encoding: Encoding, origins: Origins, anchor: str, period: int) -> Array:
    """Return the forecast that repeats the last value or season (n, K), in the network's units.

    A line that is shorter than a season repeats its last value.
    """
    other = replace(encoding, anchor=anchor, period=period)
    parts = []
    for line, rows in zip(origins.lesson.lines, origins.rows, strict=True):
        back = rows[:, None] - other.anchors()
        value = line.z[line.before + np.where(back < 0, rows[:, None], back)]
        base = line.z[line.before + rows[:, None] - encoding.anchors()]
        parts.append((value - base) / encoding.target)
    return np.concatenate(parts)


def _in_units(encoding: Encoding, origins: Origins, y_hat: Array) -> Array:
    parts, first = [], 0
    for line, rows in zip(origins.lesson.lines, origins.rows, strict=True):
        z = to_unit(encoding, line, rows, y_hat[first : first + len(rows)])
        parts.append(backward(z * line.scale + line.centre, encoding.transform))
        first += len(rows)
    return np.concatenate(parts)


def _one_step(fitted: Fitted, line: Encoded, y: Array, rows: Array) -> Array:
    rows = rows[-_RESIDUALS:]
    z = fitted.trained.forecast(line, rows)
    return np.asarray(y[rows + 1] - fitted.trained.in_units(line, z)[:, 0])


def _mean(values: Array) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("inf")
