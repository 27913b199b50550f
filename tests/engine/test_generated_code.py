"""The machine code itself, for this machine and for others: sums stay in registers, float32 stays float32.

A tile whose sums spill still computes the right numbers, several times slower; only the instructions show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("llvmlite")

import llvmlite.binding as llvm

from bptt.cells import Cell, get_cell
from bptt.engine.compiled import kernels
from bptt.engine.compiled.llvm import machine_code
from bptt.engine.compiled.llvm import target as target_module
from bptt.engine.compiled.llvm.target import Target, choose_tiles, host
from bptt.engine.compiled.units.layout import Layout
from bptt.engine.compiled.units.products import Products
from tests.engine.own_cells import OWN

LINUX = {
    "x86": "x86_64-unknown-linux-gnu",
    "arm": "aarch64-unknown-linux-gnu",
    "risc": "riscv64-unknown-linux-gnu",
}
# Name -> kind, processor as LLVM names it, its features in our table of tiles.
PROCESSORS = {
    "this machine": None,
    "x86-64": ("x86", "x86-64", ()),
    "x86-64-v2": ("x86", "x86-64-v2", ()),
    "x86-64-v3": ("x86", "x86-64-v3", ("avx", "fma")),
    "x86-64-v4": ("x86", "x86-64-v4", ("avx", "fma", "avx512f")),
    "Zen 3": ("x86", "znver3", ("avx", "fma")),
    "ARM": ("arm", "generic", ()),
    "Neoverse N1": ("arm", "neoverse-n1", ()),
    "Apple M1": ("arm", "apple-m1", ()),
}  # fmt: skip

LABEL = re.compile(r"^\.?L?BB\d+_\d+:", re.MULTILINE)
# What touches the stack with a vector register, multiplies into a sum, or computes on double precision.
SPILL = {
    "x86": r"%[xyz]mm\d+, -?\d*\(%rsp\)|-?\d*\(%rsp\), %[xyz]mm",
    "arm": r"\t(?:str|ldr|stp|ldp|stur|ldur)\t[qdv]\d.*\[sp",
}
MULTIPLY = {"x86": r"\tvfn?m(?:add|sub)\d+p[sd]", "arm": r"\tfml[as]\t"}
MOVE = {"x86": r"\tv?mov[au]p[sd]\t%[xyz]mm\d+, %[xyz]mm", "arm": r"\tmov\tv\d+\.16b"}
DOUBLE = {
    "x86": r"\tv?(?:add|sub|mul|div|sqrt|min|max|cmp|fn?m(?:add|sub)\d+)(?:pd|sd)\b|\tv?cvt\w*(?:pd|sd)\b",
    "arm": r"\tf(?!mov)\w+\t(?:v\d+\.2d|d\d+)",
}


@pytest.fixture(params=PROCESSORS)
def processor(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Target]]:
    """Let kernels be emitted for a processor; it need not be there to run them."""
    named = PROCESSORS[request.param]
    if named is None:
        triple = llvm.get_process_triple()
        kind = next((k for k, name in LINUX.items() if name.split("-")[0] == triple.split("-")[0]), "")
        if kind not in SPILL:
            pytest.skip(f"nobody has said how to read the instructions of {triple}")
        yield kind, host()
        return
    kind, cpu, features = named
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        llvm.Target.from_triple(LINUX[kind])
    except RuntimeError:
        pytest.skip(f"this LLVM cannot compile for {LINUX[kind]}")
    machine = LINUX[kind].split("-")[0]
    made = Target(cpu, "", *choose_tiles(machine, dict.fromkeys(features, True)))
    monkeypatch.setattr(llvm, "get_process_triple", lambda: LINUX[kind])
    monkeypatch.setattr(target_module, "_detect", lambda: made)
    machine_code._machine.cache_clear()
    yield kind, made
    machine_code._machine.cache_clear()


def functions(assembly: str) -> dict[str, str]:
    """Return the instructions of each function, by name."""
    starts = list(re.finditer(r"^(_?[A-Za-z]\w*):", assembly, re.MULTILINE))
    ends = [m.start() for m in starts[1:]] + [len(assembly)]
    return {m[1].removeprefix("_"): assembly[m.end() : end] for m, end in zip(starts, ends, strict=True)}


def innermost_loops(body: str) -> list[str]:
    """Return the blocks that branch back to their own label."""
    found = []
    labels = list(LABEL.finditer(body))
    for m, end in zip(labels, [*(n.start() for n in labels[1:]), len(body)], strict=True):
        block = body[m.start() : end]
        back = re.search(rf"\t(?:j\w+|b\.?\w*|cbn?z|tbn?z)\t(?:\w+, )*{re.escape(m[0][:-1])}\b", block)
        if back:
            found.append(block[: back.end()])
    return found


@pytest.mark.parametrize("kind", ["float", "double"])
def test_the_register_tiles_keep_their_sums_in_registers(processor: tuple[str, Target], kind: str) -> None:
    family, target = processor
    module = machine_code.new_module("tiles")
    Products(module, kernels.lanes_of(kind, target), target)
    for function in module.functions:
        if function.name.startswith("tile_"):
            function.linkage = "external"  # kept though nobody calls it
    tiles = {n: body for n, body in functions(machine_code.assembly(module)).items() if n.startswith("tile_")}
    # The tallest come twice: once they also ask for what is multiplied next.
    assert len(tiles) == (len(target.heights) + 1) * target.panel
    for name, body in tiles.items():
        height, width = map(int, name.removeprefix("tile_").removesuffix("_ahead").split("x"))
        loops = innermost_loops(body)
        assert loops, f"{name} has no loop"
        for loop in loops:
            assert not re.search(SPILL[family], loop), f"{name} spills:\n{loop}"
            assert "call" not in loop, name
            count = len(re.findall(MULTIPLY[family], loop))
            if family == "arm" or target.vector_bytes > 16:
                assert count, name
                assert count % (height * width) == 0, f"{name} has {count} multiply-adds in its loop"
                # A loop may turn its registers round by moves, but not for each sum.
                assert len(re.findall(MOVE[family], loop)) <= 2, f"{name} moves sums about:\n{loop}"
            if family == "x86":
                wide = {16: "xmm", 32: "ymm", 64: "zmm"}[target.vector_bytes]
                assert wide in loop, name


# One cell a processor: how a formula is lowered does not depend on which it is.
CELLS: tuple[Cell, ...] = (get_cell("lstm_peephole"), *(cls() for cls in OWN))


def test_float32_kernels_compute_in_float32(
    processor: tuple[str, Target], request: pytest.FixtureRequest
) -> None:
    cell = CELLS[list(PROCESSORS).index(request.node.callspec.params["processor"]) % len(CELLS)]
    family, _ = processor
    text = machine_code.assembly(kernels.emit_module(Layout.of(cell), "float", ragged=True))
    assert not re.search(DOUBLE[family], text), re.search(DOUBLE[family], text)
    assert not re.search(r"\tcallq?\t\*?(?:tanh|exp|log|sqrt)|\tbl\t_?(?:tanh|exp|log|sqrt)", text)


def test_the_readers_see_what_they_look_for(processor: tuple[str, Target]) -> None:
    """Float64 kernels do hold double precision, and a tile too tall for the registers does spill."""
    family, target = processor
    double: Any = kernels.emit_module(Layout.of(get_cell("elman")), "double", ragged=False)
    assert re.search(DOUBLE[family], machine_code.assembly(double))
    tall = Target(target.cpu, target.features, target.vector_bytes, 4, (16, 1))
    module = machine_code.new_module("tall")
    products = Products(module, kernels.lanes_of("float", tall), tall)
    products._tiles[16, 4].linkage = "external"
    (loop, *_) = innermost_loops(functions(machine_code.assembly(module))["tile_16x4"])
    assert re.search(SPILL[family], loop)
