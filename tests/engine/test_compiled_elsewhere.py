"""The same source on other processors, and called from several Python threads at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import llvmlite.binding as llvm

from bptt.cells import get_cell
from bptt.engine import compiled, reference
from bptt.engine.compiled import kernels, route
from bptt.engine.compiled.llvm import machine_code
from bptt.engine.compiled.llvm.target import Target, choose_tiles, host
from bptt.engine.compiled.rows.layout import RowsLayout
from bptt.engine.compiled.rows.products import corner
from bptt.engine.compiled.units.layout import Layout
from tests.engine.own_cells import Staged
from tests.engine.test_compiled import agree, double, draw, run

# What LLVM calls a processor, and the features that our table asks for.
PROCESSORS = {"x86-64": {}, "x86-64-v3": {"avx": True, "fma": True}, "x86-64-v4": {"avx512f": True}}
X86 = llvm.get_process_triple().startswith("x86_64")


def forget() -> None:
    for cached in (route.find_route, kernels.get_kernels, machine_code._machine, machine_code._engine,
                   machine_code._surroundings):  # fmt: skip
        cached.cache_clear()


@pytest.fixture
def processor(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> Iterator[Target]:
    features = PROCESSORS[request.param]
    own = llvm.get_host_cpu_features() if X86 else {}
    if not X86 or not all(own.get(name) for name in features):
        pytest.skip(f"this machine cannot run code for {request.param}")
    target = Target(request.param, "", *choose_tiles("x86_64", features))
    monkeypatch.setenv("BPTT_CACHE_DIR", str(tmp_path))
    for module in (route, kernels, machine_code):
        monkeypatch.setattr(module, "host", lambda: target)
    kept = machine_code._engine()  # it owns the code that is loaded so far, and must outlive it
    forget()
    yield target
    KEPT.extend((kept, machine_code._engine()))
    forget()


KEPT: list[Any] = []


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize("processor", PROCESSORS, indirect=True)
def test_other_vector_widths_agree(processor: Target, rng: np.random.Generator) -> None:
    for cell in (get_cell("lstm_peephole"), Staged()):
        for dtype in ("float64", "float32"):
            drawn = draw(cell, (5, 9, 7, 37), dtype, rng)
            agree(run(compiled, cell, drawn), run(reference, cell, double(drawn)), dtype)


@pytest.mark.parametrize("processor", PROCESSORS, indirect=True)
def test_the_register_tile_stays_in_registers(processor: Target) -> None:
    text = machine_code.assembly(kernels.emit_module(Layout.of(get_cell("elman")), "float", ragged=False))
    start = text.index(f"tile_{processor.heights[0]}x{processor.panel}:")
    tile = text[start : text.index(".Lfunc_end", start)]
    assert not re.search(r"%[xyz]mm\d+, -?\d*\(%rsp|\(%rsp\), %[xyz]mm", tile)
    fused = {"x86-64": 0}.get(processor.cpu, processor.heights[0] * processor.panel)
    assert tile.count("vfmadd") >= fused
    assert ("zmm" in tile) == (processor.vector_bytes == 64)


@pytest.mark.parametrize("processor", PROCESSORS, indirect=True)
def test_tiles_of_lines_stay_in_registers(processor: Target) -> None:
    module = kernels.emit_module(RowsLayout.of(get_cell("elman")), "float", ragged=False)
    text = machine_code.assembly(module)
    sums = processor.heights[0] * processor.panel
    high, wide = corner(processor)
    for name in (
        *(["rows_tile_8x3"] if sums >= 24 else []),
        f"rows_tile_{min(sums // 2, 12)}x2",
        f"rows_tile_{min(sums, 12)}x1",
        f"rows_corner_{high}x{wide}",
    ):
        start = text.index(f"{name}:")
        tile = text[start : text.index(".Lfunc_end", start)]
        loop = max(re.split(r"\n(?=\.LBB)", tile), key=lambda block: len(re.findall("v?mulps|vfmadd", block)))
        spilled = re.findall(r"%[xyz]mm\d+, -?\d*\(%rsp|\(%rsp\), %[xyz]mm", loop)
        assert not spilled, (name, len(spilled))


def test_the_host_is_described_by_its_features() -> None:
    assert host().vector_bytes in (16, 32, 64)
    assert host().cpu


def test_several_threads_at_once(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("BPTT_CACHE_DIR", str(tmp_path))
    cell = get_cell("gru")
    drawn = [draw(cell, (12, 5, 3, 20), "float32", rng) for _ in range(4)]
    alone = [run(compiled, cell, d) for d in drawn]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda d: [run(compiled, cell, d) for _ in range(20)], drawn))
    for expected, many in zip(alone, together, strict=True):
        for found in many:
            for name, value in expected.items():
                np.testing.assert_array_equal(found[name], value, err_msg=name)
