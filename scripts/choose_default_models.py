"""Compare recipes for the default models on the last 20 % of the training part; the test part is never read.

    python scripts/choose_default_models.py [--data nyc] [--data beijing] [--seeds 1]

For each recipe: a network is trained on the first 80 % of the training part, then readout and linear path are solved
for each ridge; the figure is the smallest error on the rest over that of least squares there. The recipe in
`bptt.forecast.default_models` stays unless another wins on both data sets by more than the spread of the seeds.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from bptt.data import Scaler, Windows, load_weather, split_days
from bptt.forecast.default_models import CARRIED, WINDOW, WINDOW_ROWS, choose_ridge
from bptt.forecast.scoring.baselines import least_squares

CANDIDATES = {
    "as it is": {},
    "rate 0.005": {"learning_rate": 0.005},
    "rate 0.003": {"learning_rate": 0.003},
    "half the updates": {"examples_per_row": 0.5},  # a factor, see below
    "16 units": {"hidden_size": 16},
    "LSTM": {"cell": "lstm"},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", choices=("nyc", "beijing"))
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    for name in options.data or ("nyc", "beijing"):
        data = load_weather(name)
        training = data.values[split_days(len(data.values)).train]
        cut = int(0.8 * len(training)) // WINDOW_ROWS * WINDOW_ROWS
        # Scaled by the rows before the cut: the held-out rows are as unknown as a test part.
        values = Scaler.fit(training[:cut], data.columns, constant="keep").transform(training)
        target = data.target_index
        before = Windows(values[:cut], targets=[target], length=WINDOW_ROWS)
        after = Windows(
            values, targets=[target], length=WINDOW_ROWS, starts=np.arange(cut, len(values) - WINDOW_ROWS)
        )
        baseline = float(np.mean((np.asarray(least_squares(before, after)).reshape(-1) - after.y[:, 0]) ** 2))
        print(f"{data.title}: validation on {len(after):,} windows; RMSE over that of least squares")
        for base in (WINDOW, CARRIED):
            for title, change in CANDIDATES.items():
                changed = dict(change)
                if "examples_per_row" in changed:
                    changed["examples_per_row"] *= base.examples_per_row
                recipe = replace(base, **changed)
                began, ratios, ridges = time.perf_counter(), [], []
                for seed in range(options.seeds):
                    ridge, errors = choose_ridge(values, target, recipe, seed=seed)
                    ratios.append(float(np.sqrt(errors[ridge] / baseline)))
                    ridges.append(f"{ridge:g}")
                seconds = (time.perf_counter() - began) / options.seeds
                print(
                    f"  {'carried' if recipe.carried else 'window ':8} {title:18} {np.mean(ratios):.4f} "
                    f"({min(ratios):.4f}-{max(ratios):.4f})  ridge {', '.join(ridges)}  {seconds:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
