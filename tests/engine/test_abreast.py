"""Activations side by side: the same numbers, whichever stand beside each other and whichever are left over."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.cells import get_cell
from bptt.engine import compiled, reference
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.units.frame import ABREAST
from tests.engine.test_compiled import agree, double, draw, run


def lanes(dtype: str) -> int:
    return host().vector_bytes // np.dtype(dtype).itemsize


@pytest.mark.parametrize(("layout", "dtype"), [("units", "float32"), ("rows", "float64")])
def test_lines_of_any_number_of_vectors_agree_with_the_reference(
    layout: str, dtype: str, rng: np.random.Generator, force_layout: Callable[[str], None]
) -> None:
    force_layout(layout)
    cell = get_cell("elman")
    for vectors in (ABREAST - 1, ABREAST, ABREAST + 2):
        long = vectors * lanes(dtype) - 3
        B, H = (3, long) if layout == "units" else (long, 3)
        drawn = draw(cell, (4, B, 2, H), dtype, rng)
        agree(run(compiled, cell, drawn), run(reference, cell, double(drawn)), dtype)


def test_a_sequence_has_the_same_bits_beside_others_and_left_over(
    rng: np.random.Generator, force_layout: Callable[[str], None]
) -> None:
    force_layout("rows")
    cell, B = get_cell("elman"), (ABREAST + 3) * lanes("float64")
    drawn = draw(cell, (5, B, 2, 7), "float64", rng)
    found = run(compiled, cell, drawn)["h"]
    for array in ("x", "dh"):
        drawn[array] = np.ascontiguousarray(drawn[array][:, ::-1])
    for array in ("state0", "dstate_T"):
        drawn[array] = {s: np.ascontiguousarray(a[::-1]) for s, a in drawn[array].items()}
    np.testing.assert_array_equal(run(compiled, cell, drawn)["h"][:, ::-1], found)
