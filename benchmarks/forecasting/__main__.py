"""``python -m benchmarks.forecasting``: the Forecaster's defaults against the bars of docs/forecasting.md."""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
import sys
from dataclasses import asdict
from functools import partial

from benchmarks.forecasting import day_ahead, etth1, m4, many, next_hour, rivals, same_network
from benchmarks.forecasting.series import Absent
from benchmarks.forecasting.table import text

JOBS = {
    "beijing": next_hour.beijing,
    "day": day_ahead.run,
    "etth1": etth1.run,
    "m4": m4.run,
    "many": many.run,
    "nyc": next_hour.nyc,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure; return 1 where a bar is not met, 2 where data are absent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecasting", description=__doc__)
    parser.add_argument(
        "--job",
        choices=(*JOBS, "rivals", "script"),
        action="append",
        help="all but rivals and script unless given",
    )
    parser.add_argument("--json", action="store_true", help="numbers instead of the table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="networks trained at a time; all processors unless given")
    parser.add_argument("--train-only", action="store_true", help="ETTh1: fit on 12 months instead of 16")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="TOOLKIT=PATH",
        help="rivals: the Python that has neuralforecast, or darts",
    )
    parser.add_argument("--data", choices=("beijing", "nyc"), default="beijing", help="rivals: the series")
    parser.add_argument(
        "--sizes",
        choices=("ours", "theirs"),
        default="ours",
        help="rivals: of their networks; theirs take an hour",
    )
    parser.add_argument("--rounds", type=int, default=1, help="rivals: turns that each takes")
    asked = parser.parse_args(arguments)
    found = []
    try:
        for name in asked.job or JOBS:
            jobs = {
                **JOBS,
                "script": same_network.run,
                "etth1": partial(etth1.run, train_only=asked.train_only),
                "rivals": partial(
                    rivals.run,
                    pythons=dict(each.split("=", 1) for each in asked.python),
                    data=asked.data,
                    sizes=asked.sizes,
                    rounds=asked.rounds,
                ),
            }
            found += jobs[name](asked.seed, asked.threads)
    except Absent as error:
        print(error, file=sys.stderr)
        return 2
    print(
        json.dumps([{**asdict(each), "met": each.met} for each in found], indent=1)
        if asked.json
        else text(found)
    )
    return int(not all(each.met for each in found))


if __name__ == "__main__":
    sys.exit(main())
