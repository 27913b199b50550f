"""Products and formula of a small layer in one: the same numbers, by whichever threads, and only where it pays."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.cells import Cell, get_cell
from bptt.engine import compiled, reference, threads, use_threads
from bptt.engine.compiled import kernels, route
from bptt.engine.compiled.llvm import machine_code
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.route import find_route
from bptt.engine.compiled.rows.fused import can_fuse
from bptt.engine.compiled.rows.layout import RowsLayout
from tests.engine.test_compiled import agree, double, draw, run
from tests.engine.test_generated_code import functions, innermost_loops
from tests.engine.test_phases import Deep

# Columns that the sweep back reads, results that pass between phases, peepholes, two states; one column, alone or in a
# second stage.
CELLS = [get_cell("gru"), get_cell("lstm_peephole"), Deep(), get_cell("elman"), get_cell("gru_reset_before")]

fused = pytest.mark.skipif(not can_fuse(4, host()), reason="too few registers on this machine")


@pytest.fixture(autouse=True)
def _rows(force_layout: Callable[[str], None]) -> None:
    force_layout("rows")


def is_small(cell: Cell, sizes: tuple[int, int, int, int], dtype: str, **options: bool) -> bool:
    T, B, D, H = sizes
    options = {"ragged": False, "states": True, "saved": True, **options}
    found = find_route(cell, np.dtype(dtype), (T, B, D), H, **options)
    return bool(found.opening[found.layout.slots["small"]])


def lanes(dtype: str) -> int:
    return host().vector_bytes // np.dtype(dtype).itemsize


@pytest.mark.parametrize(("dtype", "ragged"), [("float32", False), ("float64", True)])
@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_fused_stages_agree_with_the_reference(
    cell: Cell, dtype: str, ragged: bool, rng: np.random.Generator
) -> None:
    # Rows that nearly fill two vectors, or one and a bit; units of one tile and of several.
    one = any(len(stage.columns) == 1 for stage in cell.plan.stages)
    first, second, third = (5, 10, 15) if one else (6, 2, 14)
    for sizes in (
        (5, 2 * lanes(dtype) - 1, 3, first),
        (4, 3 * lanes(dtype) + 1, 1, second),
        (1, 2 * lanes(dtype), 5, third),
    ):
        assert is_small(cell, sizes, dtype, ragged=ragged)
        drawn = draw(cell, sizes, dtype, rng)
        lengths = rng.integers(1, sizes[0] + 1, sizes[1]) if ragged else None
        agree(run(compiled, cell, drawn, lengths), run(reference, cell, double(drawn), lengths), dtype)


@pytest.mark.parametrize(("cell", "H"), [(CELLS[0], 8), (CELLS[1], 8), (CELLS[3], 15)], ids=repr)
def test_any_number_of_threads_gives_the_same_bits(
    cell: Cell, H: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "WORTH", 0)
    monkeypatch.setattr(threads, "available_cpus", lambda: 16)
    find_route.cache_clear()
    sizes = (6, 14 * lanes("float32") - 3, 3, H)
    assert is_small(cell, sizes, "float32")
    drawn = draw(cell, sizes, "float32", rng)
    found: list[dict[str, Any]] = []
    for count in (1, 2, 3):
        with use_threads(count):
            found.append(run(compiled, cell, drawn))
    for other in found[1:]:
        for key, value in found[0].items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)


def test_only_small_layers_that_fill_tiles_are_fused() -> None:
    gru, L = get_cell("gru"), lanes("float32")
    assert is_small(gru, (24, 2 * L, 6, 10), "float32")
    assert not is_small(gru, (24, 2 * L, 6, 11), "float32"), "an odd number of units"
    assert not is_small(gru, (24, 2 * L + 1, 6, 10), "float32"), "an odd number of vectors"
    assert not is_small(gru, (24, 2 * L, 6, 40), "float32"), "many weights"
    elman = get_cell("elman")
    assert is_small(elman, (24, 2 * L, 6, 15), "float32")
    assert not is_small(elman, (24, 2 * L, 6, 16), "float32"), "no multiple of five units"
    assert not can_fuse(2, host())
    assert not can_fuse(5, host())


@fused
@pytest.mark.parametrize(
    ("name", "kind", "sums"), [("gru", "float", 12), ("gru", "double", 12), ("elman", "double", 10)]
)
def test_sums_stay_in_registers(name: str, kind: str, sums: int) -> None:
    """The loops over a product's lines touch the stack with no vector; formulas may keep constants there."""
    layout = RowsLayout.of(get_cell(name))
    body = functions(machine_code.assembly(kernels.emit_module(layout, kind, ragged=False)))["fused_stage_0"]
    products = [b for b in innermost_loops(body) if "vfmadd231p" in b]
    assert len(products) == 2, "one over the inputs, one over the state"
    for loop in products:
        assert len(re.findall("vfmadd231p", loop)) == sums
        assert not re.search(r"%zmm\d+, -?\d*\(%rsp|\(%rsp\), %zmm", loop)
