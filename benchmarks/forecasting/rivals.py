"""Our forecaster beside the recurrent models of neuralforecast and darts, 24 hours ahead.

Everyone is given the same rows, the same history (a week), the same columns and calendar, standardised by the training
rows, and the same number of updates as one of our networks makes. Updates, not seconds: the time of a fit is one of
the things compared. The toolkits' networks have our size, with two learning rates, of which the better
one on the *test* rows counts, which no user could know: the doubt is theirs. Each runs in a process of its own, by the
Python that `--python` names for it. They take turns: of several rounds the least processor time of each counts.

Ours stands there as a user gets it, and doing no more than the toolkits do: one network, trained once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.forecasting.rivals_worker import Problem, write_problem
from benchmarks.forecasting.series import data_file
from benchmarks.forecasting.table import Measured
from bptt.checks import Array
from bptt.data import Table, load_nyc, split_days
from bptt.data.weather.beijing import load_beijing
from bptt.forecast.features.calendar import Calendar

ROOT = Path(__file__).resolve().parents[2]
HORIZON, WINDOW, UPDATES = 24, 168, 900
# Updates of ours that are shown too, and what the rows are called in which ours does what the toolkits do.
FEW, SAME = 200, "the same budget"
# From one test window to the next; 5 and 24 have no common divisor, so that every hour of the day comes.
SPACING = 5
FIRSTS = 3
RATES = (0.001, 0.007)
# The bars: how many times as fast a fit, seconds to the first forecast, milliseconds of a warm one, share of the size.
FASTER, FIRST, WARM, SHARE = 10.0, 0.5, 0.2, 1 / 3
SHOWN = (1, 2, 3, 6, 12, 18, 24)


@dataclass(frozen=True)
class Entry:
    """A model in a configuration.

    Attributes
    ----------
    toolkit, title : str
    settings : dict
        What the worker is told.
    """

    toolkit: str
    title: str
    settings: dict[str, Any]


def entries(sizes: str) -> Iterator[Entry]:
    """Return what takes part: ours, and the toolkits in "ours" or "theirs", their default sizes."""
    yield Entry("bptt", "Forecaster()", {})
    one = {"ensemble": 1, "trial_members": 1, "shorter": ()}
    yield Entry("bptt", "one network", {"recipe": one})
    # What the toolkits do: one network trained on all rows, nothing tried, no intervals.
    budget = {"ensemble": 1, "validation": 0, "intervals": "none"}
    for cell in ("gru", "lstm"):
        yield Entry(
            "bptt", f"{SAME}, {cell.upper()}", {"given": {**budget, "cell": cell, "updates": UPDATES}}
        )
    yield Entry("bptt", f"{FEW} updates, GRU", {"given": {**budget, "cell": "gru", "updates": FEW}})
    if sizes == "theirs":
        for name in ("NHITS", "LSTM", "GRU"):
            yield Entry("neuralforecast", f"{name}, its own size", {"model": name, "given": {}})
        given = {"model": "LSTM", "max_steps": 1000}
        yield Entry("darts", "BlockRNNModel LSTM, its own size", {"model": "BlockRNNModel", "given": given})
        return
    for rate in RATES:
        small = {"max_steps": UPDATES, "learning_rate": rate, "windows_batch_size": 32}
        small |= {"encoder_hidden_size": 32, "encoder_n_layers": 1, "decoder_hidden_size": 32}
        for name in ("GRU", "LSTM"):
            yield Entry("neuralforecast", f"{name}, our size", {"model": name, "given": small})
        small = {"max_steps": UPDATES, "optimizer_kwargs": {"lr": rate}, "hidden_dim": 32, "batch_size": 32}
        for name, cell in (("BlockRNNModel", "GRU"), ("BlockRNNModel", "LSTM"), ("RNNModel", "LSTM")):
            settings = {"model": name, "given": {"model": cell, **small}}
            yield Entry("darts", f"{name} {cell}, our size", settings)


def make_problem(table: Table, target: str = "TEMP") -> tuple[Problem, float]:
    """Return the problem, standardised, and the target's deviation."""
    assert table.times is not None
    train = split_days(len(table)).train.stop
    mean, deviation = table.values[:train].mean(axis=0), table.values[:train].std(axis=0)
    values = (table.values - mean) / np.where(deviation > 0, deviation, 1.0)
    number = table.columns.index(target)
    times = table.times.astype("datetime64[s]")
    # The lab's first test window sees a day of the test part.
    origins = np.arange(train + 24 - 1, len(table) - HORIZON, SPACING)
    stop = int(origins[-1]) + 1 + HORIZON
    known = Calendar(("day", "week", "year")).encode(times[:stop])
    problem = Problem(
        times[:stop],
        values[:stop, number],
        np.delete(values, number, axis=1)[:stop],
        known,
        train,
        origins,
        HORIZON,
        WINDOW,
    )
    return problem, float(deviation[number])


def errors(problem: Problem, y_hat: Array, unit: float) -> Array:
    """Return the root mean squared error at each step of the horizon, (K,), in the target's unit."""
    truth = problem.y[problem.origins[:, None] + np.arange(1, HORIZON + 1)]
    found: Array = unit * np.sqrt(((y_hat - truth) ** 2).mean(axis=0))
    return found


def race(entry: Entry, python: str, problem: Problem, seed: int, threads: int, firsts: int) -> dict[str, Any]:
    """Return what one configuration did; "failed" with the reason where it did not finish."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    with tempfile.TemporaryDirectory(prefix="bptt-rivals-") as name:
        folder = Path(name)
        write_problem(problem, folder)
        settings = {**entry.settings, "seed": seed, "threads": threads}
        (folder / "settings.json").write_text(json.dumps(settings))

        def call(task: str) -> tuple[dict[str, Any], float, float]:
            module = "benchmarks.forecasting.rivals_worker"
            before, begun = os.times(), time.perf_counter()
            done = subprocess.run(
                [python, "-m", module, task, f"rivals_{entry.toolkit}", name],
                cwd=name,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            taken, after = time.perf_counter() - begun, os.times()
            processor = sum(after[2:4]) - sum(before[2:4])  # the child's, which no neighbour lengthens
            if done.returncode:
                raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
            return json.loads(done.stdout.strip().splitlines()[-1]), taken, processor

        try:
            found = call("fit")[0]
            loads = [call("first")[1:] for _ in range(firsts)]
            for k, name in enumerate(("first", "first_processor")):
                found[name] = min((each[k] for each in loads), default=np.nan)
            found["y_hat"] = np.load(folder / "forecasts.npy")
        except RuntimeError as error:
            return {"failed": str(error)}
    return found


def run(
    seed: int,
    threads: int | None,
    pythons: Mapping[str, str],
    data: str = "beijing",
    sizes: str = "ours",
    rounds: int = 1,
) -> list[Measured]:
    """Print the tables and return what is asked for."""
    table = load_nyc().table if data == "nyc" else load_beijing(data_file("beijing_pm25.csv"))
    problem, unit = make_problem(table)
    found: dict[str, dict[str, Any]] = {}
    for entry in [each for _ in range(rounds) for each in entries(sizes)]:
        python = pythons.get(entry.toolkit, sys.executable if entry.toolkit == "bptt" else None)
        if python is None:
            continue
        # What a new process loads is the toolkit; its models differ by nothing.
        firsts = 0 if any(each["toolkit"] == entry.toolkit for each in found.values()) else FIRSTS
        result = race(entry, python, problem, seed, threads or 1, firsts)
        title = f"{entry.toolkit} {entry.title}"
        if "failed" in result:
            print(f"{title}: {result['failed']}", file=sys.stderr)
            continue
        rmse = errors(problem, result.pop("y_hat"), unit)
        given = entry.settings.get("given", {})
        rate = given.get("learning_rate", given.get("optimizer_kwargs", {}).get("lr"))
        print(_line(title, rate, rmse, result), flush=True)
        if title in found:
            result["processor"] = min(result["processor"], found[title]["processor"])
            found[title]["processor"] = result["processor"]
        if title not in found or rmse.mean() < found[title]["rmse"].mean():
            found[title] = {**result, "rmse": rmse, "toolkit": entry.toolkit}
    return _bars(data, found)


def _line(title: str, rate: float | None, rmse: Array, result: Mapping[str, Any]) -> str:
    steps = " ".join(f"{rmse[k - 1]:6.3f}" for k in SHOWN)
    lr = "" if rate is None else f"lr {rate:g}"
    return (
        f"{title:46}{lr:9} {steps} | fit {result['wall']:7.1f} s, processor {result['processor']:7.1f} s"
        f" | first {result['first']:6.2f} s, processor {result['first_processor']:5.2f} s"
        f" | warm {1e3 * result['warm']:8.3f} ms | {result['megabytes']:6.0f} MB"
    )


def _bars(data: str, found: Mapping[str, Mapping[str, Any]]) -> list[Measured]:
    ours = found.get("bptt Forecaster()")
    if ours is None:
        return []
    measured = [
        Measured(f"{data}, ours", "first, s", ours["first"], FIRST),
        Measured(f"{data}, ours", "warm, ms", 1e3 * ours["warm"], WARM),
    ]
    for title, each in found.items():
        if each["toolkit"] == "bptt":
            continue
        name = title.split(",")[0]
        measured += [
            *_beside(name, "", ours, each),
            Measured(name, "installed size", ours["megabytes"] / each["megabytes"], SHARE),
        ]
        for title_of_ours, less in found.items():
            if less["toolkit"] == "bptt" and less is not ours:
                measured += _beside(name, title_of_ours.removeprefix("bptt"), less, each)
    return measured


def _beside(name: str, what: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Measured]:
    """Return the worst ratio of the errors of a step, and the ratio of the processor time of the fits."""
    worst = float((ours["rmse"] / theirs["rmse"]).max())
    return [
        Measured(name, f"worst step{what and ','}{what}", worst, 1.0),
        Measured(
            name, f"fit, processor{what and ','}{what}", ours["processor"] / theirs["processor"], 1 / FASTER
        ),
    ]
