"""An engine in a process of its own: what it answers, and what becomes of one that is not there."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import benchmarks.engines
import benchmarks.training
from benchmarks.agreement import TOLERANCE, differences, reference, worst
from benchmarks.jobs import JOBS, make_problem
from benchmarks.race import Race
from benchmarks.report import row_text
from benchmarks.results import Results, Row
from benchmarks.timing import Samples
from benchmarks.training import SAMPLE_SECONDS, Entrants, Settings
from benchmarks.worker import Host
from benchmarks.workers import Handle, Missing, Worker
from tests.conftest import REPOSITORY

pytest.importorskip("llvmlite", reason="llvmlite is not installed")


def test_a_worker_answers_with_results_and_times() -> None:
    worker = Worker("bptt", 1, "float32")
    try:
        handle = worker.prepare("training", "weather", "gru", 1)
        wanted = reference(make_problem(JOBS["weather"], "gru", "float32"))
        assert worst(differences(handle.found, wanted))[1] <= TOLERANCE["float32"]
        seconds, cores = handle.measure(3)
        assert seconds > 0
        assert cores > 0
        samples = handle.watch(3, 2)
        assert [len(sample) for sample in samples] == [5] * 3
        assert all(
            seconds > 0 and 0 <= before <= 2 and 0 <= after <= 2 for seconds, _, before, after, _ in samples
        )
        with pytest.raises(Missing, match="no task of the kind 'loop'"):
            worker.prepare("loop", "weather", "gru", 1)
    finally:
        worker.close()
    assert worker.process.returncode == 0


def test_a_library_that_is_not_installed_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(benchmarks.engines.ENGINES, "absent", ("benchmarks.engines.absent", "Absent"))
    answer = Host("absent").answer({"do": "hello"})
    assert "benchmarks.engines.absent" in answer["missing"]


class FakeWorker:
    """A peer with made-up gradients."""

    title = "Peer"

    def __init__(self, found: dict[str, np.ndarray] | None) -> None:
        self.found, self.dropped = found, 0

    def prepare(self, kind: str, job: str, cell: str, threads: int, rows: int | None = None) -> Handle:
        if self.found is None:
            raise Missing("not to be had")
        return Handle(self, "key", kind, threads, self.found)

    def ask(self, **request: object) -> dict[str, object]:
        self.dropped += request["do"] == "drop"
        return {}


def test_only_who_agrees_may_run() -> None:
    row = Row("training", "weather", "elman", "float32", 1)
    entrants = Entrants(row, {"loss": np.array(2.0), "w": np.array([1.0, -4.0])})
    right = FakeWorker({"loss": np.array(2.0), "w": np.array([1.0, -4.00001])})
    wrong = FakeWorker({"loss": np.array(2.0), "w": np.array([1.1, -4.0])})
    for name, worker in (("right", right), ("wrong", wrong), ("absent", FakeWorker(None)), ("no", None)):
        entrants.add(name, worker, "training", 1)
    assert list(entrants.handles) == ["right"]
    assert row.worst_tensors == {"right": ("w", pytest.approx(2.5e-6)), "wrong": ("w", pytest.approx(0.025))}
    assert "wrong disagrees: w by 2.5e-02" in row.note
    assert "absent: not to be had" in row.note
    assert wrong.dropped == 1
    text = row_text(row)
    assert "disagrees" in text
    assert " us " not in text


def test_peers_run_with_each_number_of_threads() -> None:
    workers = {("pytorch", 2): FakeWorker({}), ("jax", 1): FakeWorker({}), ("jax", 2): FakeWorker({})}
    settings = Settings(1, 0.1, 2, workers)
    assert settings.peers("pytorch") == [
        ("Peer on 1", workers["pytorch", 2], 1),
        ("Peer on 2", workers["pytorch", 2], 2),
    ]
    assert [worker for _, worker, _ in settings.peers("jax")] == [workers["jax", 1], workers["jax", 2]]
    assert settings.peers("onnxruntime") == []


def test_nothing_begins_after_the_deadline() -> None:
    results = Results()
    assert Settings(1, 0.1, 1, {}).has_time("sine", results)
    assert results.left_out == []
    assert not Settings(1, 0.1, 1, {}, deadline=time.monotonic() - 1).has_time("sine", results)
    assert results.left_out == ["sine (no time left)"]


def test_results_become_json(tmp_path: Path) -> None:
    results = Results(measured={"a": 1.5})
    results.worst("a", 1.0)
    results.worst("b", 0.5)
    assert results.measured == {"a": 1.5, "b": 0.5}
    assert json.loads(json.dumps(results.as_dict()))["measured"] == {"a": 1.5, "b": 0.5}


def test_counted_samples_are_printed() -> None:
    row = Row(
        "training", "sine", "gru", "float32", 2, worst_tensors={"bptt": ("w", 1e-7), "peer": ("w", 1e-7)}
    )
    samples = {"bptt": Samples([1.0] * 7, [1.9] * 7, 9), "peer": Samples([3.0] * 6, [1.0] * 6, 41)}
    row.race = Race(samples, 5)
    text = row_text(row)
    assert "7 of 9 samples count" in text
    assert "3.00x (median 3.00x)  6 of 41 samples count" in text


def test_several_threads_are_watched_and_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []
    for name in ("race", "watched_race"):
        monkeypatch.setattr(
            benchmarks.training, name, lambda *args, name=name: asked.append((name, args[1:])) or Race({})
        )
    entrants = Entrants(Row("training", "sine", "gru", "float32", 2), {})
    entrants.race(Settings(4, 0.25, 1, {}))
    entrants.race(Settings(4, 0.25, 2, {}))
    entrants.race(Settings(4, 0.25, 2, {}), watched=False)
    assert asked == [("race", (4, 0.25)), ("watched_race", (12, SAMPLE_SECONDS, 2)), ("race", (4, 0.25))]


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    from benchmarks.picture import draw

    race = Race(
        {"bptt": Samples([1.0], [1.0]), "PyTorch": Samples([40.0], [1.0]), "JAX": Samples([0.5], [1.0])}
    )
    row = Row("training", "weather", "lstm", "float32", 1, race, limit=0.7)
    assert draw(Results(rows=[row]), tmp_path / "speed.png") == tmp_path / "speed.png"
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
    assert draw(Results(), tmp_path / "none.png") is None


def test_the_command_refuses_an_unknown_job() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "wether"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Got wether" in done.stderr
