"""The doctor's line at the end of the labs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bptt.diagnostics import Diagnosis, Finding
from bptt.labs.noisy_sine.data import make_series
from bptt.labs.noisy_sine.frozen import run_until_frozen
from bptt.labs.noisy_sine.lab import LECTURE, run_rnn
from bptt.labs.outcome import Outcome, as_json
from bptt.report import TableBlock


@pytest.mark.parametrize("run", [run_rnn, run_until_frozen])
def test_the_lectures_network_learns_with_its_readout_alone(run: object) -> None:
    data = make_series(4)
    recipe = replace(LECTURE, epochs=6)
    fitted = run(data.x, data.y, recipe, seed=4, keep={1})  # type: ignore[operator]
    assert fitted.diagnosis.diseases[0] == "readout-only learning"
    assert fitted.diagnosis.findings[0].numbers["first_norm"] > 1e15


def test_an_outcome_has_a_line_a_run() -> None:
    ill = Finding("saturation", "mild", "layers.0", "much is stuck", {"share": 0.5}, "scale")
    outcome = Outcome(
        lab="none", title="t", lead="l", table=TableBlock(("a",), ()), verdicts=(), drawings={},
        sections=lambda pictures: [], numbers={"a": 1}, source="s",
        diagnoses={"first": Diagnosis((ill,), 0.5, 0.2, 9), "second": Diagnosis((), 0.1, 0.9, 1)},
    )  # fmt: skip
    assert outcome.doctor.splitlines() == [
        "Doctor, first: saturation (mild, layers.0): much is stuck; scale",
        "Doctor, second: no disease found: the network explains 90 % of the loss that is left to a constant, "
        "on 1 example",
    ]
    assert as_json(outcome)["doctor"]["first"]["findings"][0]["disease"] == "saturation"
    assert replace(outcome, diagnoses={}).doctor == ""
