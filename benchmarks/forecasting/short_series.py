"""``python -m benchmarks.forecasting.short_series``: how many truths the 90 % intervals of short series hold.

Series are simulated, so that there are as many as are needed: each is forecast once, after its last row. Networks are
small, because so is what they can learn.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.forecast import Forecaster, Recipe

KINDS = ("AR(1)", "random walk", "seasonal")
ROWS = (60, 100, 200, 300)
# The smallest share that is allowed.
LEAST = 0.85
RECIPE = Recipe(hidden=8, ensemble=1, trial_members=1, updates=150)
_BEFORE = 50


@dataclass(frozen=True, eq=False)
class Held:
    """What the intervals of many series of one kind held.

    Attributes
    ----------
    inside : ndarray of bool (S, K)
        Whether each truth lay in its interval.
    width : float
        Mean width; the noise of a step has a deviation of 1.
    chosen : Counter
        What validation chose.
    """

    inside: Array
    width: float
    chosen: Counter[str]

    @property
    def share(self) -> float:
        """Of truths that were held."""
        return float(self.inside.mean())


def simulate(kind: str, rows: int, rng: np.random.Generator) -> Array:
    """Return months of an AR(1) with coefficient 0.7, of a yearly wave of size 3, or of a random walk."""
    noise = rng.standard_normal(rows + _BEFORE)
    if kind == "random walk":
        y = noise.cumsum()
    elif kind == "AR(1)":
        y = np.zeros(len(noise))
        for t in range(1, len(noise)):
            y[t] = 0.7 * y[t - 1] + noise[t]
    else:
        y = 3 * np.sin(2 * np.pi * np.arange(len(noise)) / 12 + rng.uniform(0, 6)) + noise
    return y[_BEFORE:]


def measure(kind: str, rows: int, horizon: int, series: int, first: int = 0) -> Held:
    """Fit so many series of one kind, and look at the rows after them."""
    inside, widths, chosen = [], [], Counter[str]()
    months = np.datetime64("2000-01", "M") + np.arange(rows)
    for seed in range(first, first + series):
        rng = np.random.default_rng([seed, rows, KINDS.index(kind)])
        y = simulate(kind, rows + horizon, rng)
        table = {"month": [f"{month}-01" for month in months], "y": y[:rows]}
        model = Forecaster("y", horizon, recipe=RECIPE, seed=seed, threads=1).fit(table, progress=False)
        low, high = model.forecast(levels=(0.05, 0.95)).quantiles[:, 0]
        inside.append((low <= y[rows:]) & (y[rows:] <= high))
        widths.append(float(np.mean(high - low)))
        chosen[model.fitted.trained.kind] += 1
    return Held(np.array(inside), float(np.mean(widths)), chosen)


def main(arguments: list[str] | None = None) -> int:
    """Measure; return 1 where a share is below what is allowed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forecasting.short_series", description=__doc__
    )
    parser.add_argument("--series", type=int, default=200, help="of each kind and length")
    parser.add_argument("--horizon", type=int, nargs="+", default=[1, 6, 12])
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    asked = parser.parse_args(arguments)
    worst = 1.0
    print(f"{'':14}{'rows':>6}{'ahead':>7}{'held, %':>9}{'at worst step':>15}{'width':>8}  chosen")
    for horizon in asked.horizon:
        for rows in asked.rows:
            for kind in KINDS:
                found = measure(kind, rows, horizon, asked.series)
                worst = min(worst, found.share)
                chosen = ", ".join(f"{name} {count}" for name, count in found.chosen.most_common())
                print(
                    f"{kind:14}{rows:>6}{horizon:>7}{100 * found.share:>9.1f}"
                    f"{100 * found.inside.mean(axis=0).min():>15.1f}{found.width:>8.2f}  {chosen}",
                    flush=True,
                )
    return int(worst < LEAST)


if __name__ == "__main__":
    sys.exit(main())
