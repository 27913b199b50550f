"""Inputs that lie batch first, as users have them: an engine may read them so, and nothing else may change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.cells import get_cell
from bptt.engine import compiled
from tests.engine.test_compiled import draw

# More rows than lanes and few units, then few rows and more units: both layouts.
SIZES = ((5, 35, 3, 4), (5, 3, 7, 19))


def batch_first(x: Any) -> Any:
    """Return x (T, B, D) as a view of what lies batch first."""
    return np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)


@pytest.mark.parametrize("sizes", SIZES)
def test_a_tape_of_inputs_that_lie_batch_first_gives_the_same_gradients(
    sizes: tuple[int, int, int, int], rng: np.random.Generator
) -> None:
    cell = get_cell("gru")
    drawn = draw(cell, sizes, "float32", rng)
    found = []
    for x in (drawn["x"], batch_first(drawn["x"])):
        h, _, tape = compiled.forward(cell, drawn["parameters"], x, drawn["state0"])
        sweep = compiled.backward(tape, drawn["dh"], drawn["dstate_T"])
        found.append({"h": h, "dx": sweep.x, **sweep.parameters})
    for name, values in found[0].items():
        np.testing.assert_array_equal(found[1][name], values, err_msg=name)


@pytest.mark.parametrize("outputs", ["all", "last"])
@pytest.mark.parametrize("sizes", SIZES)
def test_inputs_that_lie_batch_first_in_another_dtype_are_converted(
    sizes: tuple[int, int, int, int], outputs: str, rng: np.random.Generator
) -> None:
    cell = get_cell("lstm")
    drawn = draw(cell, sizes, "float64", rng)
    expected = compiled.forward(cell, drawn["parameters"], drawn["x"], outputs=outputs, tape=False)
    x = batch_first(drawn["x"].astype(np.float32))  # `draw` makes numbers that float32 can hold
    found = compiled.forward(cell, drawn["parameters"], x, outputs=outputs, tape=False)
    for name, values in expected[1].items():
        np.testing.assert_array_equal(found[1][name], values, err_msg=name)
    if outputs == "all":
        np.testing.assert_array_equal(found[0], expected[0])
