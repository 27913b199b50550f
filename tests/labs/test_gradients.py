"""The gradients lab, shortened: what it promises of its ladders, flows and records; and, slow, its bars."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bptt.labs.gradients.data import LAGS
from bptt.labs.gradients.lab import PROFILE_LAG, STARTS, Gradients, Ladder, look_at, run
from bptt.labs.gradients.remedies import REMEDIES, Run
from bptt.labs.gradients.report import QUICK_LAGS, make_outcome, outcome_of
from bptt.labs.gradients.spectral import RADII, run_radii
from bptt.labs.gradients.verdicts import lag_or_none, verdicts
from bptt.labs.outcome import as_json, write_outcome
from tests.labs.sliders import assert_can_be_moved_through

PICTURES = {"flow_start", "flow_trained", "by_lag", "radii", "latch", "cliff", "unrolled"}


@pytest.fixture(scope="module")
def result() -> Gradients:
    return run(seed=4, seeds=2, steps=120, lags=(3, 10))


def test_each_remedy_climbs_until_it_fails(result: Gradients) -> None:
    assert list(result.ladders["echo"]) == list(REMEDIES)
    assert list(result.ladders["adding"]) == [n for n, r in REMEDIES.items() if "adding" in r.tasks]
    for task, seeds in (("echo", 2), ("adding", 1)):
        for row in result.ladders[task].values():
            assert len(row.runs[3]) == seeds
            assert len(row.runs.get(10, ())) == (row.solved(3) if 2 * row.solved(3) > seeds else 0)
            assert all(run.steps <= 120 for runs in row.runs.values() for run in runs)


def test_reach_is_what_more_than_half_of_the_seeds_solve() -> None:
    good, bad = Run(1.0, True, 9, False), Run(0.1, False, 9, False)
    row = Ladder("x", {10: [good, good, good], 20: [good, good, bad], 50: [good, bad]})
    assert [row.solved(lag) for lag in (10, 20, 50, 100)] == [3, 2, 1, 0]
    assert row.reach(3) == 20
    assert row.reach(4) == 10
    assert Ladder("x", {10: [bad]}).reach(1) == 0
    assert lag_or_none(0) == "no lag that was tried"


def test_starts_are_told_apart_by_their_gradients() -> None:
    found = {
        name: look_at(REMEDIES[name], 0) for name in ("none", "orthogonal", "lstm", "lstm_keep", "programmed")
    }
    for start in found.values():
        assert start.flow.shape == (PROFILE_LAG + 1,)
        assert start.flow[-1] == 1
        assert start.dx.shape == start.flow.shape
        assert (start.dx > 0).all()
        assert start.by_lag.shape == (PROFILE_LAG + 1,)
        assert start.by_lag[0] == 1
        assert start.per_step == pytest.approx(start.flow[0] ** (1 / PROFILE_LAG), rel=1e-12)
        assert start.radius <= start.norm * (1 + 1e-12)
    assert found["orthogonal"].radius == pytest.approx(1, rel=1e-9)
    assert found["none"].flow[0] < 1e-15 < 1e-10 < found["orthogonal"].flow[0]
    assert found["lstm"].flow[0] < 1e-3 < 0.1 < found["lstm_keep"].flow[0]
    assert found["programmed"].flow[0] < 1e-15


def test_a_linear_network_follows_its_spectral_radius_and_tanh_does_not() -> None:
    found = run_radii(seed=2, lag=60)
    assert len(found) == 2 * len(RADII)
    for each, radius in zip(found[: len(RADII)], RADII, strict=True):
        assert each.activation == "identity"
        assert each.radius == pytest.approx(radius, rel=1e-9)
        assert each.norm > each.radius
        assert each.jacobian == pytest.approx(each.norm, rel=1e-9)
        assert each.per_step == pytest.approx(radius, rel=0.06)
    linear, tanh = found[: len(RADII)], found[len(RADII) :]
    for one, other in zip(linear, tanh, strict=True):
        assert other.norm == pytest.approx(one.norm, rel=1e-12)
        assert other.per_step < one.per_step
        assert other.jacobian < one.jacobian
    # The sufficient condition of Pascanu 2013: every step's largest singular value below 1.
    assert tanh[0].norm < 1
    assert tanh[0].flow[0] < tanh[0].norm ** 60


def test_flows_after_training_belong_to_the_longest_lag_solved(result: Gradients) -> None:
    assert result.trained
    for name, (lag, flow) in result.trained.items():
        first = [runs[0].solved for at, runs in result.ladders["echo"][name].runs.items() if at <= lag]
        assert all(first)
        assert flow.shape == (lag + 1,)
        assert np.isfinite(flow).all()


def test_sentences_hold_for_the_numbers(result: Gradients) -> None:
    lines = "\n".join(verdicts(result))
    none = result.ladders["echo"]["none"].reach(2)
    assert f"the Elman network reaches {lag_or_none(none)}" in lines
    assert f"and it reaches {lag_or_none(result.ladders['echo']['programmed'].reach(2))}" in lines
    for name, row in result.ladders["echo"].items():
        assert row.title in lines or name == "none"


def test_the_outcome_is_written_whole(result: Gradients, tmp_path: Path) -> None:
    outcome = outcome_of(result)
    assert set(outcome.drawings) == PICTURES
    assert len(outcome.table.rows) == len(REMEDIES)
    numbers = json.loads(json.dumps(as_json(outcome)))
    assert numbers["lab"] == "gradients"
    assert set(numbers["starts"]) == set(STARTS)
    assert set(numbers["ladders"]["echo"]["none"]["lags"]) <= {"3", "10"}
    assert numbers["cliff"]["plain"]["longest_step"] > numbers["cliff"]["clipped"]["loss"]
    report = write_outcome(outcome, tmp_path, "bptt lab gradients").read_text()
    assert_can_be_moved_through(report, outcome.doctor)
    assert "A quick run: up to 120 updates instead of 2,000" in outcome.note
    assert outcome.note in report
    for name in PICTURES:
        assert (tmp_path / f"{name}.png").exists()
    for remedy in REMEDIES.values():
        assert remedy.title.replace("'", "&#x27;") in report or remedy.title in report


@pytest.mark.slow
def test_the_default_run_tells_the_remedies_apart() -> None:
    outcome = make_outcome(seeds=3)
    reach = {name: row["reach"] for name, row in outcome.numbers["ladders"]["echo"].items()}
    assert reach["none"] <= 20
    assert reach["truncated"] == 10  # it sees 15 steps
    assert reach["gru_keep"] >= 50
    assert reach["lstm_keep"] >= 50
    assert reach["omega"] > reach["none"]
    assert reach["programmed"] == max(LAGS)
    assert outcome.numbers["ladders"]["adding"]["gru_keep"]["reach"] == max(LAGS)
    assert QUICK_LAGS[0] == LAGS[0]
