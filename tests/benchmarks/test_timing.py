"""Ratios, the roofline, and the order of rounds: on made-up times."""

from __future__ import annotations

from itertools import cycle

import pytest

from benchmarks.jobs import JOBS, Job
from benchmarks.race import LEAST_CORES, PATIENCE, race
from benchmarks.roofline import Machine, inference_flops, step_flops, step_limit, weight_bytes
from benchmarks.timing import LEAST_SHARE, Samples, chunk_length, median_ratio, ratio


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
        self.name, self.log, self.seconds, self.cores = name, log, seconds, cycle(cores)

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
    found = race({"a": FakeHandle("a", log, 2.0, (0.5, 0.7, 1.0))}, rounds=2, budget=0.1)
    assert log[1:] == ["a"] * 6
    assert found.samples["a"].cores == [1.0, 1.0]
    assert (found.is_valid, found.disturbed, found.remark) == (True, [], "")


def test_an_engine_that_never_has_its_core_is_named() -> None:
    found = race({"a": FakeHandle("a", [], 2.0, (0.5, 0.7, 0.6))}, rounds=2, budget=0.1)
    assert found.samples["a"].cores == [0.7, 0.7]
    assert (found.is_valid, found.disturbed) == (True, ["a"])
    assert found.remark == "processor time, for want of a core to itself: a. "


def test_rounds_without_the_cores_do_not_count() -> None:
    cores = iter([1.0, 1.9, LEAST_CORES - 0.01, 2.0])
    found = race({"a": FakeHandle("a", [], 2.0)}, rounds=2, budget=0.1, probe=lambda: next(cores))
    assert (found.lost, found.cores) == (2, [1.9, 2.0])
    assert len(found.samples["a"].seconds) == 2


def test_a_machine_that_never_gives_its_cores_makes_the_race_invalid() -> None:
    found = race({"a": FakeHandle("a", [], 2.0)}, rounds=2, budget=0.1, probe=lambda: 1.0)
    assert found.lost == 2 * PATIENCE
    assert not found.is_valid
    assert found.remark == "invalid: the machine gave fewer than 1.8 cores in all of 6 rounds. "
