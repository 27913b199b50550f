"""Jobs on a Dask cluster: the same bits as in one thread, also where workers are killed within."""

from __future__ import annotations

import importlib.util
import logging
import os
import random
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if importlib.util.find_spec("distributed") is None:
    pytest.skip("needs Dask, which is not installed: pip install 'bptt[dask]'", allow_module_level=True)

from distributed import Client, LocalCluster

from bptt.errors import DataError, InvalidInput, WorkerLost
from bptt.forecast import Forecaster, fit_each
from bptt.forecast.fitting.running import cluster, executors
from bptt.forecast.fitting.running.given_executor import open_workers
from bptt.forecast.fitting.running.side_by_side import Meter
from tests.forecast.fitting.running.travelling_jobs import (
    assert_same_bits,
    fail,
    job,
    numbers_of,
    read_when_there,
    train_for_ever,
    twice,
    wait_for,
)
from tests.forecast.panels import NETWORK, make_panel

RECIPE = replace(NETWORK, blocks=3)
# Long enough that a worker can be killed within.
LONG = replace(RECIPE, hidden=24, batch=32, updates=1200)


def start(workers: int) -> Any:
    return LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
    )


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with start(2) as local, Client(local, set_as_default=False) as found:
        yield found


@pytest.fixture(autouse=True)
def every_job_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that several tasks are made, small as the jobs are."""
    monkeypatch.setattr(executors, "LEAST_SECONDS", 0.0)


def test_a_search_a_backtest_and_many_tables_have_the_bits_of_one_thread(client: Any) -> None:
    panel, told = make_panel(np.random.default_rng(8), 701, 233), []
    alone = Forecaster(horizon=3, recipe=RECIPE, search=1, threads=1).fit(panel, progress=False)
    for executor in (client, client.scheduler.address):
        there = Forecaster(horizon=3, recipe=RECIPE, search=1)
        there.fit(panel, executor=executor, progress=lambda *at: told.append(at))
        assert_same_bits(alone, there)
        assert told[-1][0] == told[-1][1]
    ask = {"folds": 3, "trees": False, "progress": False}
    one = Forecaster(horizon=2, recipe=RECIPE, threads=1).backtest(panel, **ask)
    other = Forecaster(horizon=2, recipe=RECIPE).backtest(panel, executor=client, **ask)
    for name, scores in one.scores.items():
        for metric, values in scores.items():
            np.testing.assert_array_equal(values, other.scores[name][metric])
    wanted = Forecaster(horizon=2, recipe=NETWORK)
    parts = [replace(panel, lines=panel.lines[k:][:1]) for k in (1, 0)]
    models = fit_each(wanted, parts, executor=client, progress=False)
    for part, made in zip(parts, models, strict=True):
        assert_same_bits(Forecaster(horizon=2, recipe=NETWORK).fit(part, progress=False), made)
    assert not client.futures  # nothing stays behind on the workers


def test_errors_come_back_and_end_the_others(client: Any, tmp_path: Path) -> None:
    def interrupt(*at: int) -> None:
        if at[0] >= 10:
            raise KeyboardInterrupt

    for name, second, error in (
        ("error", job(fail, 0, "the fourth value is missing", str(tmp_path / "error" / "begun")), DataError),
        ("interrupted", job(wait_for, 0, str(tmp_path / "interrupted" / "begun")), KeyboardInterrupt),
    ):
        folder = tmp_path / name
        folder.mkdir()
        with open_workers(client) as workers, pytest.raises(error):
            workers.run([job(train_for_ever, 0, str(folder)), second], Meter(20, interrupt))
        assert read_when_there(folder / "ended") == "called off"


def test_clusters_that_cannot_be_used_are_refused_in_one_line(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, table = Forecaster("y"), {"y": np.arange(30.0)}
    with monkeypatch.context() as patch:
        own = cluster.surroundings()
        patch.setattr(cluster, "surroundings", lambda: own | {"bptt": "9.9"})
        with pytest.raises(
            InvalidInput, match=r"workers with bptt = 9\.9, as here. Got .* on tcp://.*: install"
        ):
            model.fit(table, executor=client)
    with Client(client.scheduler.address, set_as_default=False) as other:
        pass
    with pytest.raises(InvalidInput, match=r"executor must be connected. Got a client that is closed"):
        model.fit(table, executor=other)
    with pytest.raises(
        InvalidInput, match=r"must be the address of a Dask scheduler that answers. Got 'nowhere"
    ):
        model.fit(table, executor="nowhere://1")
    with LocalCluster(n_workers=0, dashboard_address=":0", processes=False) as empty, Client(empty) as lonely:
        monkeypatch.setattr(cluster, "_PATIENCE", 0.2)
        with pytest.raises(WorkerLost, match=r"executor must have a worker. Got none within 0.2 s"):
            model.fit(table, executor=lonely)


def test_a_job_that_kills_its_worker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_TRIES", 2)
    lost = []

    def no_result(self: object, future: Any) -> None:
        lost.append(future.key)

    monkeypatch.setattr(cluster._Run, "result", no_result)
    with (
        LocalCluster(n_workers=1, dashboard_address=":0", processes=False) as local,
        Client(local) as own,
        open_workers(own) as workers,
        pytest.raises(WorkerLost, match=r"Got 2 times one that was lost"),
    ):
        workers.run([job(twice, np.ones(1), 0)], Meter(1, lambda *_: None))
    assert len(set(lost)) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "runs"), [(2, 20), (1, 4)])
def test_a_killed_worker_changes_nothing(workers: int, runs: int) -> None:
    """With one worker, what was sent to it dies with it."""
    panel = make_panel(np.random.default_rng(1), 701, 333)

    def fit(executor: Any) -> list[np.ndarray]:
        return numbers_of(
            Forecaster(horizon=3, recipe=LONG, threads=1).fit(panel, executor=executor, progress=False)
        )

    alone, chance, within = fit(None), random.Random(workers), 0
    for _ in range(runs):
        with start(workers) as local, Client(local, set_as_default=False) as own:
            pid = chance.choice(list(own.run(os.getpid).values()))
            killed = threading.Event()

            def kill(pid: int = pid, killed: threading.Event = killed) -> None:
                os.kill(pid, signal.SIGKILL)
                killed.set()

            timer = threading.Timer(chance.uniform(0.05, 1.0), kill)
            timer.start()
            found = fit(own)
            within += killed.is_set()
            timer.cancel()
            timer.join()
        for x, y in zip(alone, found, strict=True):
            np.testing.assert_array_equal(x, y)
    assert within > runs / 2
