"""The bars as data, and their verdicts."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.bars import Bar, all_bars, inference_key, judge, share_key, training_key
from benchmarks.jobs import INFERENCE_JOBS, JOBS
from benchmarks.report import number, verdicts_text

RATIO = Bar("r", 2.0, "x", aim=3.0)
TIME = Bar("t", 25.0, "ms", at_least=False)
PART = Bar("p64", 0.9, "x", part_of="p32", floor=1.0)


@pytest.mark.parametrize(
    ("bar", "measured", "state", "limit"),
    [
        (RATIO, {"r": 2.0}, "met", 2.0),
        (RATIO, {"r": 1.99}, "NOT met", 2.0),
        (TIME, {"t": 25.0}, "met", 25.0),
        (TIME, {"t": 25.1}, "NOT met", 25.0),
        (TIME, {"r": 1.0}, "not measured", 25.0),
        (PART, {"p64": 1.8, "p32": 2.0}, "met", 1.8),
        (PART, {"p64": 1.7, "p32": 2.0}, "NOT met", 1.8),
        (PART, {"p64": 0.95, "p32": 1.0}, "NOT met", 1.0),  # the floor
        (PART, {"p64": 1.8}, "not measured", None),
        (RATIO, {"r": float("nan")}, "NOT met", 2.0),
    ],
)
def test_verdicts(bar: Bar, measured: dict[str, float], state: str, limit: float | None) -> None:
    found = judge(bar, measured)
    assert found.state == state
    assert found.limit == (None if limit is None else pytest.approx(limit))


def test_a_run_without_its_cores_is_invalid_whatever_it_measured() -> None:
    assert judge(RATIO, {"r": 9.0}, invalid=["r"]).state == "invalid"


def test_every_bar_has_a_key_of_its_own_that_a_run_can_fill() -> None:
    bars = list(all_bars())
    assert [key for key, times in Counter(bar.key for bar in bars).items() if times > 1] == []
    known = {
        training_key(dtype, threads, job.name, cell, peer)
        for job in JOBS.values()
        for cell in job.cells
        for dtype in ("float32", "float64")
        for threads in (1, 2)
        for peer in ("pytorch", "jax")
    }
    known |= {share_key("float32", job.name, cell) for job in JOBS.values() for cell in job.cells}
    known |= {
        inference_key(n, job, cell) for n in (1, 2) for job in INFERENCE_JOBS for cell in JOBS[job].cells
    }
    asked = {bar.key for bar in bars if bar.key.startswith(("training", "share", "inference"))}
    assert len(asked) > 50
    assert asked <= known


def test_the_table_shows_what_was_measured_and_counts_the_rest() -> None:
    text = verdicts_text([judge(RATIO, {"r": 2.5}), judge(TIME, {}), judge(PART, {"p64": 1.0, "p32": 2.0})])
    assert "2.5 x       >= 2 x  met (aim 3 x)" in text
    assert "NOT met" in text
    assert text.endswith("bars: 1 met, 1 NOT met, 0 invalid, 1 not measured")


def test_a_verdict_by_processor_time_says_so() -> None:
    assert "NOT met, by processor time" in verdicts_text([judge(TIME, {"t": 30.0})], ["t"])


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.654, "%", "65 %"), (1e-6, "", "1.0e-06"), (0.0, "", "0"), (None, "x", "-"), (12.34, "us", "12.3 us")],
)
def test_numbers(value: float | None, unit: str, text: str) -> None:
    assert number(value, unit) == text
