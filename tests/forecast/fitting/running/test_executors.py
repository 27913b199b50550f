"""Jobs in threads and in other processes: the same bits as one after the other, and an end when they are called off."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bptt
from bptt.errors import DataError, InvalidInput, InvalidType, LibraryMissing, WorkerLost
from bptt.forecast import Forecaster, fit_each
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.jobs import seconds
from bptt.forecast.fitting.running import executors, travelling
from bptt.forecast.fitting.running.executors import Processes, ThreadPool, Threads, grouped, run_here
from bptt.forecast.fitting.running.given_executor import open_workers
from bptt.forecast.fitting.running.side_by_side import Meter
from bptt.forecast.fitting.running.travelling import Job
from bptt.forecast.recipe import Recipe
from tests.forecast.fitting.running.travelling_jobs import (
    assert_same_bits,
    die,
    fail,
    job,
    read_when_there,
    train_for_ever,
    twice,
    wait_for,
)
from tests.forecast.panels import NETWORK, make_panel

RECIPE = replace(NETWORK, blocks=3)


def in_processes(count: int) -> ProcessPoolExecutor:
    # Spawned: a fork of the tests' own process, which has threads, is warned of.
    try:
        return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"))
    except (OSError, NotImplementedError) as error:  # no /dev/shm, say
        pytest.skip(f"this system has no locks for several processes: {error}")


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with in_processes(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


@pytest.fixture(params=["threads", "processes"])
def pool(request: pytest.FixtureRequest) -> Executor:
    return request.getfixturevalue(request.param)


@pytest.fixture(autouse=True)
def every_job_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that several parcels travel, small as the jobs are."""
    monkeypatch.setattr(executors, "LEAST_SECONDS", 0.0)


def two_lines() -> bptt.forecast.forecaster.Panel:
    return make_panel(np.random.default_rng(8), 701, 233)


def test_a_search_and_its_fit_have_the_bits_of_one_thread(pool: Executor) -> None:
    panel, told = two_lines(), []
    alone = Forecaster(horizon=3, recipe=RECIPE, search=1, threads=1).fit(panel, progress=False)
    there = Forecaster(horizon=3, recipe=RECIPE, search=1).fit(
        panel, executor=pool, progress=lambda *at: told.append(at)
    )
    assert_same_bits(alone, there)
    assert alone.diagnosis is not None
    assert len(told) >= 10
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1]


def test_a_backtest_has_the_bits_of_one_thread(pool: Executor) -> None:
    panel, told = make_panel(np.random.default_rng(5), 260, 133), []
    for refit in (False, True):
        ask = {"folds": 3, "trees": False, "refit": refit}
        alone = Forecaster(horizon=2, recipe=NETWORK, threads=1).backtest(panel, progress=False, **ask)
        there = Forecaster(horizon=2, recipe=NETWORK).backtest(
            panel, executor=pool, progress=lambda *at: told.append(at), **ask
        )
        assert str(alone) == str(there)
        assert alone.folds == there.folds
        for name, scores in alone.scores.items():
            for metric, values in scores.items():
                np.testing.assert_array_equal(values, there.scores[name][metric])
    assert told[-1][0] == told[-1][1]


def test_each_table_has_the_model_that_it_has_alone(pool: Executor, tmp_path: Path) -> None:
    """Paths and frames, in rounds of two; what comes back forecasts without the rows, and is saved."""
    y = [3 + np.random.default_rng(k).standard_normal(150 + k) for k in range(3)]
    path = tmp_path / "one.csv"
    path.write_text("y\n" + "".join(f"{value!r}\n" for value in y[1].tolist()))
    frames = [{"y": y[0]}, path, {"y": y[2]}]
    wanted = Forecaster("y", 2, recipe=NETWORK, seed=3)
    for executor in (pool, None):
        found = list(fit_each(wanted, iter(frames), executor=executor, at_once=2, progress=False))
        assert len(found) == 3
        for frame, made in zip(frames, found, strict=True):
            alone = Forecaster("y", 2, recipe=NETWORK, seed=3).fit(frame, progress=False)
            assert_same_bits(alone, made)
            loaded = bptt.load(made.save(tmp_path / "m.safetensors"))
            np.testing.assert_array_equal(loaded.forecast().y_hat, made.forecast().y_hat)
    with pytest.raises(DataError, match=r"^frames\[1\]: .*\S"):
        list(fit_each(wanted, [frames[0], {"y": ["a", "b"]}], executor=pool, progress=False))


def test_what_each_table_is_given_is_checked() -> None:
    with pytest.raises(InvalidType, match=r"forecaster must be a bptt.Forecaster. Got dict"):
        fit_each({}, [])
    with pytest.raises(InvalidType, match=r"frames must be a sequence of tables or paths. Got str"):
        fit_each(Forecaster("y"), "table.csv")
    with pytest.raises(InvalidInput, match=r"at_once must be at least 1. Got 0"):
        fit_each(Forecaster("y"), [], at_once=0)


def test_results_come_in_the_order_of_the_jobs(pool: Executor, tmp_path: Path) -> None:
    shared, sign = np.arange(5.0), tmp_path / "go"
    told: list[tuple[int, int]] = []

    def notify(*at: int) -> None:
        told.append(at)
        sign.touch()  # the first job ends after another one

    with open_workers(pool) as workers:
        jobs = [job(wait_for, shared, str(sign)), *(job(twice, shared, k) for k in (3, 0, 4))]
        assert workers.run(jobs, Meter(40, notify)) == [None, 6.0, 0.0, 8.0]
    assert told[-1][0] >= 30


def test_neighbours_that_read_the_same_are_sent_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "LEAST_SECONDS", 0.5)
    one, other = object(), object()
    times = [
        (one, 0.2),
        (one, 0.2),
        (one, 0.2),
        (one, 0.7),
        (one, 0.1),
        (other, 0.1),
        (other, 9.0),
        (one, 0.1),
    ]
    jobs = [job(twice, shared, seconds=each) for shared, each in times]
    assert grouped(jobs) == [[0, 1, 2], [3], [4], [5, 6], [7]]
    recipe = Recipe()
    assert seconds(recipe, 20, 900) > 4 * seconds(recipe, 20, 200)
    assert seconds(replace(recipe, cell="lstm", layers=2), 20, 900) > 2 * seconds(recipe, 20, 900)


def test_what_travels_with_a_job_is_small_and_what_jobs_share_is_one_object() -> None:
    sent: list[list[Job]] = []

    class Recording(Threads):
        def run(self, jobs: Sequence[Job], meter: Meter) -> list:
            sent.append(list(jobs))
            return super().run(jobs, meter)

    fit_panel(two_lines(), horizon=3, recipe=RECIPE, search=[replace(RECIPE, hidden=6)], workers=Recording(1))
    trials, rest = sent
    assert (len(trials), len(rest)) == (6, 4)
    assert len({id(each.shared) for each in trials}) == 1
    assert len({id(each.shared) for each in rest}) == 2
    for each in (*trials, *rest):
        assert len(pickle.dumps(each.arguments)) < 2000 < len(pickle.dumps(each.shared))
        assert len(pickle.dumps(run_here(each, lambda *_: None))) < 200_000


def test_the_first_error_ends_the_others(pool: Executor, tmp_path: Path) -> None:
    with open_workers(pool) as workers, pytest.raises(DataError, match=r"^the fourth value is missing$"):
        workers.run(
            [
                job(train_for_ever, 0, str(tmp_path)),
                job(fail, 0, "the fourth value is missing", str(tmp_path / "begun")),
            ],
            Meter(20, lambda *_: None),
        )
    assert read_when_there(tmp_path / "ended") == "called off"


def test_who_looks_too_late_for_the_sign_ends_too(
    processes: ProcessPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "PATIENCE", 0.0)
    test_the_first_error_ends_the_others(processes, tmp_path)


def test_ctrl_c_ends_what_runs(pool: Executor, tmp_path: Path) -> None:
    told: list[int] = []

    def notify(*at: int) -> None:
        # Once, and not from the first job, whose half is 5: it is to hear that it is called off.
        if at[0] >= 10 and not told:
            told.append(at[0])
            raise KeyboardInterrupt

    with open_workers(pool) as workers, pytest.raises(KeyboardInterrupt):
        workers.run(
            [
                job(train_for_ever, 0, str(tmp_path)),
                job(wait_for, 0, str(tmp_path / "begun")),
                job(wait_for, 0, str(tmp_path / "begun")),
            ],
            Meter(20, notify),
        )
    assert read_when_there(tmp_path / "ended") == "called off"


def test_a_process_that_ends_is_told_in_one_line() -> None:
    with (
        in_processes(1) as pool,
        pytest.raises(WorkerLost, match=r"executor must keep its workers. Got one that"),
    ):
        Processes(pool).run([job(die, 0)], Meter(1, lambda *_: None))


def test_what_an_executor_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, kind in ((None, Threads), (ThreadPoolExecutor(1), ThreadPool)):
        with open_workers(given) as workers:
            assert isinstance(workers, kind)
    model, table = Forecaster("y"), {"y": np.arange(30.0)}
    with pytest.raises(InvalidType, match=r"^executor must be None, a concurrent.futures.Executor.*Got int$"):
        model.fit(table, executor=2)
    closed = in_processes(1)
    closed.shutdown()
    with pytest.raises(InvalidInput, match=r"executor must be open. Got one that was shut down"):
        Processes(closed).run([job(twice, 0, 0)], Meter(1, lambda *_: None))
    given = ThreadPoolExecutor(1)
    given.shutdown()
    with pytest.raises(InvalidInput, match=r"executor must be open. Got one that was shut down"):
        ThreadPool(given).run([job(twice, 0, 0)], Meter(1, lambda *_: None))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LibraryMissing, match=r"executor needs Dask.*pip install 'bptt\[dask\]'"):
        model.backtest(table, executor="tcp://127.0.0.1:8786")


def test_another_version_is_refused_and_another_processor_is_told(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = travelling.surroundings()
    parcel = travelling.pack([job(twice, 0, 0)])
    foreign = replace(parcel, sender=here | {"bptt": "9.9"})
    own = here["bptt"].replace(".", r"\.")
    with pytest.raises(InvalidInput, match=rf"workers with bptt = 9\.9, as here. Got {own} on a worker"):
        travelling.run_parcel(foreign, [1], travelling.Watch(lambda: True))
    monkeypatch.setattr(travelling, "_told", set())
    with caplog.at_level(logging.WARNING, "bptt.forecast"):
        answer = travelling.run_parcel(parcel, [4.0], travelling.Watch(lambda: True))
        for _ in range(2):
            found = travelling.open_answer(answer._replace(worker=here | {"engine": "abacus"}))
    assert found == [8.0]
    assert [r.message.split(": ", 1)[1] for r in caplog.records] == [
        f"engine: abacus there, {here['engine']} here"
    ]
