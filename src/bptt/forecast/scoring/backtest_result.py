"""What a backtest found: the scores of all methods, and the sentence that says where the model loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.forecast.scoring.metrics import METRICS, NAMES

TITLES = {
    "model": "model",
    "last": "repeat the last value",
    "season": "repeat the last season",
    "ridge": "least squares on the window",
    "trees": "boosted trees",
}


@dataclass(frozen=True, eq=False)
class Backtest:
    """What a backtest found.

    Attributes
    ----------
    scores : dict of method to dict of metric to ndarray (K,)
        Over the forecasts of all folds; see `bptt.forecast.scoring.metrics.measure`.
    by_fold : list of dict of method to ndarray (K,)
        RMSE.
    origins : int
        Forecasts of each method.
    coverage : float
        That the intervals aim at.
    kinds : tuple of str
        What validation chose in each fold.
    folds : list of tuple of datetime64
        First and last time that is forecast.
    """

    scores: dict[str, dict[str, Array]]
    by_fold: list[dict[str, Array]]
    origins: int
    coverage: float
    kinds: tuple[str, ...]
    folds: list[tuple[np.datetime64, np.datetime64]]

    @property
    def losing_to(self) -> dict[str, list[int]]:
        """The steps (1..K) at which each baseline has the smaller RMSE; only those that win somewhere."""
        own = self.scores["model"]["rmse"]
        found = {
            name: [int(k) + 1 for k in np.flatnonzero(scores["rmse"] < own)]
            for name, scores in self.scores.items()
            if name != "model"
        }
        return {name: steps for name, steps in found.items() if steps}

    def verdict(self) -> str:
        """Return one sentence: whether a baseline wins anywhere."""
        lost = self.losing_to
        if not lost:
            return "the model has the smallest error at every step of the horizon"
        told = "; ".join(f"{TITLES[name]} is better at {_steps(steps)}" for name, steps in lost.items())
        return f"the model loses: {told}"

    def __str__(self) -> str:
        K = len(self.scores["model"]["rmse"])
        shown = sorted({1, *np.unique(np.linspace(1, K, min(K, 8)).round().astype(int)).tolist()})
        lines = [f"RMSE by step, {self.origins} forecasts in {len(self.folds)} folds"]
        lines.append(f"{'':28}" + "".join(f"{k:>10}" for k in shown) + f"{'mean':>10}")
        for name, scores in self.scores.items():
            rmse = scores["rmse"]
            mean = np.mean(rmse) if np.isfinite(rmse).all() else np.nan
            lines.append(f"{TITLES[name]:28}" + "".join(_cell(rmse[k - 1]) for k in shown) + _cell(mean))
        lines.append(f"means over the horizon (intervals of {100 * self.coverage:g} %)")
        widths = {name: max(10, 2 + len(NAMES[name])) for name in METRICS}
        lines.append(f"{'':28}" + "".join(f"{NAMES[name]:>{width}}" for name, width in widths.items()))
        for method, scores in self.scores.items():
            means = {n: np.mean(scores[n]) if np.isfinite(scores[n]).all() else np.nan for n in METRICS}
            means["coverage"] *= 100
            cells = [_cell(means[n], width) for n, width in widths.items()]
            lines.append(f"{TITLES[method]:28}" + "".join(cells))
        return "\n".join([*lines, self.verdict()])


def _cell(value: Any, width: int = 10) -> str:
    return f"{value:>{width}.4g}" if np.isfinite(value) else f"{'-':>{width}}"


def _steps(steps: list[int]) -> str:
    told = ", ".join(map(str, steps[:6])) + (", ..." if len(steps) > 6 else "")
    return f"step {told}" if len(steps) == 1 else f"steps {told}"
