"""What optimisers remember, out of one run and into another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.optim import SGD, Adam, AdamW, Cosine, Optimizer, RMSProp, fill_slots, slot_arrays
from tests.optim.runs import SHAPES, STEPS, problem, run

RULES: list[Optimizer] = [
    SGD(0.1),
    SGD(0.1, momentum=0.9),
    RMSProp(),
    Adam(Cosine(0.01, STEPS)),
    AdamW(0.01, weight_decay=0.1),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind} {len(rule.slot_names)}")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_run_goes_on_from_slots_that_were_kept(
    rng: np.random.Generator, rule: Optimizer, dtype: str
) -> None:
    parameters, gradients = problem(rng, dtype)
    whole, _ = run(rule, parameters, gradients)
    first, slots = run(rule, parameters, gradients[:3])
    kept = {name: array.copy() for name, array in slot_arrays(slots).items()}
    assert kept.keys() == {f"{slot}.{name}" for name in SHAPES for slot in rule.slot_names}
    moving = first[-1]
    fresh = rule.init(moving)
    live = slot_arrays(fresh)
    fill_slots(fresh, kept)
    for name, array in slot_arrays(fresh).items():
        assert array is live[name]  # in place: a compiled run keeps their addresses
    for step in range(3, STEPS):
        rule.update(moving, gradients[step], fresh, step)
    for name in SHAPES:
        np.testing.assert_array_equal(moving[name], whole[-1][name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda kept: kept.pop("m.readout.b_y"), "Got no m.readout.b_y among them"),
        (lambda kept: kept.update({"s.readout.b_y": np.zeros(2)}), "Got no s.readout.b_y in the optimiser"),
        (
            lambda kept: kept.update({"v.readout.b_y": np.zeros(3)}),
            "v.readout.b_y must be float64 of shape (2,). Got float64 of shape (3,)",
        ),
        (
            lambda kept: kept.update({"v.readout.b_y": np.zeros(2, "f")}),
            "v.readout.b_y must be float64 of shape (2,). Got float32 of shape (2,)",
        ),
    ],
)
def test_slots_that_do_not_fit_change_nothing(
    rng: np.random.Generator, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    parameters, gradients = problem(rng)
    _, slots = run(Adam(), parameters, gradients)
    kept = {name: array + 1 for name, array in slot_arrays(slots).items()}
    before = {name: array.copy() for name, array in slot_arrays(slots).items()}
    change(kept)
    with pytest.raises(InvalidInput) as caught:
        fill_slots(slots, kept)
    assert message in str(caught.value)
    for name, array in slot_arrays(slots).items():
        np.testing.assert_array_equal(array, before[name])
