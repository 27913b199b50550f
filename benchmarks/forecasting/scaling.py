"""``python benchmarks/forecasting/scaling.py``: the same work by one thread, and by 1 and 2 workers of Dask.

Rounds are interleaved and the fastest of each is taken; nothing is printed unless all gave the same bits. Beside the
time on the wall stands the processor time of this process and of the busiest worker together: what the wall would show
on a machine that nobody else uses.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from bptt import Forecaster
from bptt.forecast import fit_each


def table(rows: int, series: int = 1, seed: int = 0) -> dict[str, Any]:
    """Return hours of something with a day, a level that wanders, and an input that leads it."""
    rng = np.random.default_rng(seed)
    hours = np.datetime64("2021-01-01T00", "h") + np.arange(rows)
    lead = rng.standard_normal((series, rows + 1)).cumsum(axis=1) / 9
    y = 50 + 9 * np.sin(np.arange(rows) * 2 * np.pi / 24) + 4 * np.tanh(lead[:, :-1])
    y += rng.standard_normal((series, rows))
    return {
        "series": np.repeat([f"s{k}" for k in range(series)], rows),
        "time": np.tile(hours.astype("datetime64[s]"), series),
        "load": y.ravel(),
        "lead": lead[:, 1:].ravel(),
    }


def fit(rows: int, executor: object, search: int = 0) -> bytes:
    model = Forecaster("load", 6, threads=1, search=search)
    model.fit(table(rows), progress=False, executor=executor)
    return b"".join(array.tobytes() for net in model.fitted.trained.nets for array in net.parameters.values())


def backtest(rows: int, executor: object) -> bytes:
    model = Forecaster("load", 6, threads=1)
    found = model.backtest(table(rows), folds=4, trees=False, progress=False, executor=executor)
    return found.scores["model"]["rmse"].tobytes()


def each(rows: int, executor: object) -> bytes:
    """Eight shards of 50 series, together as many rows as are asked for times eight."""
    frames = [table(rows // 50, 50, seed=k) for k in range(8)]
    wanted = Forecaster("load", 6, ensemble=2, threads=1)
    models = fit_each(wanted, frames, executor=executor, progress=False)
    return b"".join(model.forecast().y_hat.tobytes() for model in models)


JOBS: dict[str, Callable[..., bytes]] = {
    "fit": fit,
    "search": partial(fit, search=4),
    "backtest": backtest,
    "each": each,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure; return 1 where bits differ, 2 without Dask."""
    parser = argparse.ArgumentParser(prog="python benchmarks/forecasting/scaling.py", description=__doc__)
    parser.add_argument("--job", choices=tuple(JOBS), action="append", help="all unless given")
    parser.add_argument("--rows", type=int, default=8760)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        print("needs Dask: pip install 'bptt[dask]'", file=sys.stderr)
        return 2
    for name in asked.job or JOBS:
        best: dict[str, tuple[float, float]] = {}
        bits: set[bytes] = set()
        for _ in range(asked.rounds):
            with ThreadPoolExecutor(1) as pool:
                bits.add(_timed(best, "one thread", partial(JOBS[name], asked.rows, pool)))
            for count in asked.workers:
                with (
                    LocalCluster(
                        n_workers=count,
                        threads_per_worker=1,
                        dashboard_address=":0",
                        silence_logs=logging.ERROR,
                    ) as local,
                    Client(local, set_as_default=False) as client,
                ):
                    client.run(fit, 300, None)  # so that kernels are loaded
                    who = f"{count} worker{'s' * (count > 1)}"
                    bits.add(_timed(best, who, partial(JOBS[name], asked.rows, client), client))
        if len(bits) > 1:
            print(f"{name}: the bits differ", file=sys.stderr)
            return 1
        wall, processor = best["one thread"]
        for who, (elapsed, used) in best.items():
            print(
                f"{name:10}{who:12}{elapsed:7.1f} s ({wall / elapsed:.2f}x)   processor{used:7.1f} s "
                f"({processor / used:.2f}x)",
                flush=True,
            )
    return 0


def _timed(
    best: dict[str, tuple[float, float]], who: str, work: Callable[[], bytes], client: Any = None
) -> bytes:
    def worked() -> dict[str, float]:
        return client.run(time.process_time) if client is not None else {"": 0.0}

    before, begun, own = worked(), time.perf_counter(), time.process_time()
    found = work()
    elapsed, own = time.perf_counter() - begun, time.process_time() - own
    used = own + max(after - before[name] for name, after in worked().items())
    old = best.get(who, (np.inf, np.inf))
    best[who] = min(old[0], elapsed), min(old[1], used)
    return found


if __name__ == "__main__":
    sys.exit(main())
