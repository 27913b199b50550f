"""Ratios, the roofline, and the order of rounds: on made-up times."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice

import numpy as np
import pytest

from benchmarks.jobs import JOBS, Job
from benchmarks.race import LEAST_CORES, LEAST_COUNTED, LEAST_STEPS, MOST_TRIES, TURN, race, watched_race
from benchmarks.roofline import Machine, inference_flops, step_flops, step_limit, weight_bytes
from benchmarks.timing import LEAST_SHARE, Sample, Samples, chunk_length, median_ratio, ratio


def test_ratios_of_best_and_of_medians() -> None:
    ours = Samples([2.0, 1.0, 4.0], [1.0, 1.0, 1.0])
    peer = Samples([10.0, 9.0, 8.0], [1.0, 2.0, 1.9])
    assert ratio(peer, ours) == 8.0
    assert median_ratio(peer, ours) == 4.5
    assert (peer.best, peer.median) == (8.0, 9.0)


def test_rounds_in_which_the_core_was_shared_do_not_count() -> None:
    shared = Samples([5.0, 3.0, 4.0], [1.0, LEAST_SHARE - 0.01, 0.99])
    assert (shared.best, shared.median, shared.is_quiet) == (4.0, 4.5, True)


def test_processor_time_counts_where_the_core_was_always_shared() -> None:
    never = Samples([5.0, 3.0, 8.0], [0.5, 0.75, 0.5])
    assert (never.best, never.median, never.is_quiet) == (2.25, 2.5, False)


def test_a_run_on_more_cores_than_allowed_is_seen() -> None:
    assert Samples([1.0] * 3, [1.0, 1.1, 3.0]).is_within(1)
    assert not Samples([1.0] * 3, [1.9, 1.1, 1.8]).is_within(1)
    assert Samples([1.0] * 3, [1.9, 1.1, 1.8]).is_within(2)


@pytest.mark.parametrize(("step", "budget", "steps"), [(0.001, 0.1, 100), (0.3, 0.1, 1), (1e-5, 0.1, 10_000)])
def test_as_many_steps_as_the_budget_holds(step: float, budget: float, steps: int) -> None:
    asked: list[int] = []

    def time_of(count: int) -> float:
        asked.append(count)
        return count * step

    assert chunk_length(time_of, budget) == steps
    assert sum(asked) <= 2 * max(steps, 1)


def test_an_idle_clock_does_not_go_on_for_ever() -> None:
    assert chunk_length(lambda _: 0.0, 0.1, most=1000) == 1000


TINY = Job("tiny", D=2, H=3, K=5, T=7, B=11, cells=("elman",))


def test_flops_of_a_step() -> None:
    # 77 rows: h W_hh is 3 x 3, x W_xh is 2 x 3, the readout of 11 rows 3 x 5.
    found = step_flops(TINY, "elman")
    assert found["forward"] == 2 * (77 * 9 + 77 * 6 + 11 * 15)
    assert found["backward"] == 2 * (77 * 9 + 11 * 15)
    assert found["gradients"] == found["forward"]
    assert step_flops(TINY, "lstm")["forward"] == 2 * (4 * 77 * 9 + 4 * 77 * 6 + 11 * 15)
    assert inference_flops(TINY, "gru", rows=13) == 2 * 13 * (7 * 9 * 5 + 15)


def test_the_limit_is_arithmetic_where_reading_is_fast() -> None:
    total = sum(step_flops(TINY, "elman").values())
    assert step_limit(TINY, "elman", 4, Machine(flops=1e3, bandwidth=1e30)) == pytest.approx(total / 1e3)


def test_the_limit_is_reading_where_reading_is_slow() -> None:
    assert weight_bytes(TINY, "gru", 8) == 3 * 9 * 8
    # Two sweeps of 7 steps, each over 36 bytes; the gradients' arithmetic is as good as free.
    assert step_limit(TINY, "elman", 4, Machine(flops=1e30, bandwidth=10.0)) == pytest.approx(2 * 7 * 36 / 10)


def test_one_sequence_is_bound_by_reading() -> None:
    machine = Machine(flops=100e9, bandwidth=60e9)
    arithmetic = sum(step_flops(JOBS["noisy"], "elman").values()) / machine.flops
    assert step_limit(JOBS["noisy"], "elman", 4, machine) > 1.5 * arithmetic
    arithmetic = sum(step_flops(JOBS["sine"], "elman").values()) / machine.flops
    assert step_limit(JOBS["sine"], "elman", 4, machine) == pytest.approx(arithmetic)


class FakeHandle:
    """Takes note of when it is asked."""

    def __init__(self, name: str, log: list[str], seconds: float, cores: tuple[float, ...] = (1.0,)) -> None:
        self.name, self.log, self.seconds, self.cores, self.steps = name, log, seconds, cycle(cores), 1

    def warm_up(self, budget: float) -> None:
        self.log.append(f"warm {self.name} {budget:g}")

    def measure(self) -> tuple[float, float]:
        self.log.append(self.name)
        return self.seconds, next(self.cores)


def test_competitors_take_turns() -> None:
    log: list[str] = []
    found = race({name: FakeHandle(name, log, 1.0) for name in "ab"}, rounds=3, budget=0.5)
    assert log == ["warm a 0.5", "warm b 0.5", "a", "b", "a", "b", "a", "b"]
    assert found.is_valid
    assert found.samples["b"].seconds == [1.0] * 3


def test_a_disturbed_engine_gets_another_try() -> None:
    log: list[str] = []
    found = race({"a": FakeHandle("a", log, 2.0, (0.8, 0.7, 1.0))}, rounds=2, budget=0.1)
    assert log[1:] == ["a"] * 6
    assert found.samples["a"].cores == [1.0, 1.0]
    assert (found.is_valid, found.disturbed, found.remark) == (True, [], "")


def test_a_machine_too_busy_gets_no_other_try() -> None:
    log: list[str] = []
    found = race({"a": FakeHandle("a", log, 2.0, (0.3,))}, rounds=2, budget=0.1)
    assert log[1:] == ["a"] * 2
    assert found.disturbed == ["a"]


def test_an_engine_that_never_has_its_core_is_named() -> None:
    found = race({"a": FakeHandle("a", [], 2.0, (0.8, 0.9, 0.7))}, rounds=2, budget=0.1)
    assert found.samples["a"].cores == [0.9, 0.9]
    assert (found.is_valid, found.disturbed) == (True, ["a"])
    assert found.remark == "processor time, for want of a core to itself: a. "


class WatchedHandle(FakeHandle):
    """Gives samples with what the machine gave around them, one after the other."""

    def __init__(self, name: str, log: list[str], samples: list[Sample]) -> None:
        super().__init__(name, log, 0.0)
        self.samples = iter(samples)

    def watch(self, count: int, threads: int) -> list[Sample]:
        self.log.append(f"{self.name} {count} {threads}")
        return list(islice(self.samples, count))


GOOD, LESS = 1.9, LEAST_CORES - 0.01


def test_samples_count_by_what_the_machine_gave_before_and_after() -> None:
    samples: list[Sample] = [
        (5.0, 0.4, GOOD, GOOD, 0),
        (1.0, 2.0, LESS, GOOD, 0),
        (2.0, 2.0, GOOD, LESS, 0),
        (3.0, 2.0, GOOD, GOOD, 1),
        (4.0, 2.0, LEAST_CORES, LEAST_CORES, 0),
    ]
    found = watched_race({"a": WatchedHandle("a", [], samples)}, wanted=2, budget=0.1, threads=2)
    assert found.is_valid
    assert (found.samples["a"].seconds, found.samples["a"].tried) == ([5.0, 4.0], 5)
    # Its processor time is no reason to leave a sample out: of so short ones it is known only roughly.
    assert (found.samples["a"].best, found.samples["a"].median, found.disturbed) == (4.0, 4.5, [])


def test_who_has_enough_samples_waits_and_nobody_has_more() -> None:
    log: list[str] = []
    quick = WatchedHandle("a", log, [(1.0 + k, 2.0, GOOD, GOOD, 0) for k in range(50)])
    unlucky = WatchedHandle("b", log, [(9.0 - k, 2.0, (LESS, GOOD)[k % 2], GOOD, 0) for k in range(50)])
    unlucky.steps = 20
    found = watched_race({"a": quick, "b": unlucky}, wanted=6, budget=0.5, threads=3)
    assert log == [
        "warm a 0.5",
        "warm b 0.5",
        f"a {TURN} 3",
        f"b {TURN} 3",
        f"a {TURN} 3",
        f"b {TURN} 3",
        f"b {TURN} 3",
    ]
    assert found.samples["a"].seconds == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert (quick.steps, unlucky.steps) == (LEAST_STEPS, 20)
    assert found.samples["b"].seconds == [8.0, 6.0, 4.0, 2.0, 0.0, -2.0]
    assert (found.samples["a"].tried, found.samples["b"].tried) == (6, 12)


def test_a_machine_that_never_gives_its_cores_makes_the_race_invalid() -> None:
    samples: dict[str, list[Sample]] = {
        "a": [(1.0, 2.0, GOOD, GOOD, 0)] * 80,
        "b": [(1.0, 2.0, GOOD, GOOD, 0)] * (LEAST_COUNTED - 1) + [(1.0, 2.0, LESS, LESS, 0)] * 200,
    }
    handles = {name: WatchedHandle(name, [], found) for name, found in samples.items()}
    found = watched_race(handles, wanted=10, budget=0.1, threads=2)
    assert not found.is_valid
    tried = -(-MOST_TRIES * 10 // TURN) * TURN
    assert found.samples["b"].tried == tried
    assert found.remark == (
        f"invalid: too few samples with 1.8 cores before and after (b {LEAST_COUNTED - 1} of {tried}). "
    )


class FakeTask:
    """Takes note of its runs."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def found(self) -> dict[str, np.ndarray]:
        return {}

    def run(self, steps: int) -> None:
        self.log.append(f"run {steps}")


class PausingTask(FakeTask):
    """One that makes its pauses itself."""

    def pause_every(self, steps: int, count: int, pause: Callable[[], None]) -> None:
        pause()
        for _ in range(count):
            self.log.append(f"steps {steps}")
            pause()


@pytest.mark.parametrize("task", [FakeTask, PausingTask])
def test_the_machine_is_asked_before_and_after_every_sample(
    task: type[FakeTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = pytest.importorskip("benchmarks.watching", reason="needs the counts of a POSIX system")
    log: list[str] = []
    monkeypatch.setattr(watching.time, "sleep", lambda seconds: log.append(f"settle {seconds:g}"))
    given = iter([1.25, 1.5, 1.75, 2.0])

    def probe() -> float:
        log.append("ask")
        return next(given)

    found = watching.Watch(probe)
    watching.watch(task(log), 7, 3, found)
    what, settle = ("run 7", "steps 7")[task is PausingTask], f"settle {watching.SETTLING:g}"
    first = [] if task is PausingTask else ["run 7"]
    assert log == [*first, "ask", *[what, settle, "ask"] * 3]
    assert [sample[2:4] for sample in found.samples] == [(1.25, 1.5), (1.5, 1.75), (1.75, 2.0)]
    assert all(sample[0] > 0 for sample in found.samples)


def test_a_core_lost_to_another_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    watching = pytest.importorskip("benchmarks.watching", reason="needs the counts of a POSIX system")
    clocks = iter([(1.0, 0.5, 3), (1.1, 0.6, 3), (3.1, 4.1, 5), (9.0, 9.0, 9)])
    monkeypatch.setattr(watching, "_clocks", lambda: next(clocks))
    found = watching.Watch(lambda: 2.0)
    found.pause()
    found.pause()
    assert found.samples == [(pytest.approx(2.0), pytest.approx(1.75), 2.0, 2.0, 2)]


def test_the_probe_of_cores() -> None:
    probes = pytest.importorskip("benchmarks.core_probe", reason="needs llvmlite and a POSIX clock")
    probe = probes.CoreProbe(2)
    assert probe.alone > 0
    for _ in range(5):
        assert 0.0 <= probe.cores() <= 2.0
    assert int(probe.come[0]) == 2
    probe.alone = 1e-9
    probe.see_alone()
    assert probe.alone > 1e-6
    # The second thread's time beside the first's: one that took twice as long had half a core.
    probe._spent = lambda: [probe.alone, 2 * probe.alone]
    assert probe.cores() == 1.5


def test_a_thread_that_waited_in_vain_had_no_core() -> None:
    probes = pytest.importorskip("benchmarks.core_probe", reason="needs llvmlite and a POSIX clock")
    probe = probes.CoreProbe(2)
    probe.come[0] = 1
    assert probe._spent() == [float("inf")] * 2
