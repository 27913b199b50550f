"""Streams on processors with other vectors and other register tiles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import llvmlite.binding as llvm

from bptt.cells import get_cell
from bptt.engine.compiled import kernels
from bptt.engine.compiled.llvm import machine_code
from bptt.engine.compiled.llvm.target import Target, choose_tiles
from bptt.engine.compiled.streams import kernels as stream_kernels
from bptt.engine.compiled.streams import runner as stream_runner
from bptt.engine.compiled.streams.layout import StreamLayout
from bptt.engine.compiled.units.layout import Layout
from tests.engine.own_cells import Staged
from tests.network.streams import agree, draw, make_pair

# What LLVM calls a processor, and the features that the table of tiles asks for.
PROCESSORS = {"x86-64": {}, "x86-64-v3": {"avx": True, "fma": True}, "x86-64-v4": {"avx512f": True}}
# Engines own the code that was loaded through them, and must outlive it.
KEPT: list[Any] = []


@pytest.fixture(params=PROCESSORS)
def processor(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> Iterator[Target]:
    features = PROCESSORS[request.param]
    x86 = llvm.get_process_triple().startswith("x86_64")
    own = llvm.get_host_cpu_features() if x86 else {}
    if not x86 or not all(own.get(name) for name in features):
        pytest.skip(f"this machine cannot run code for {request.param}")
    target = Target(request.param, "", *choose_tiles("x86_64", features))
    monkeypatch.setenv("BPTT_CACHE_DIR", str(tmp_path))
    for module in (stream_runner, stream_kernels, kernels, machine_code):
        monkeypatch.setattr(module, "host", lambda: target)
    caches = (
        stream_runner.find_functions, machine_code._machine, machine_code._engine, machine_code._surroundings
    )  # fmt: skip
    KEPT.append(machine_code._engine())
    for cache in caches:
        cache.cache_clear()
    yield target
    KEPT.append(machine_code._engine())
    for cache in caches:
        cache.cache_clear()


def test_other_vector_widths_agree(processor: Target, rng: np.random.Generator) -> None:
    settings = {"linear_lags": 3, "change_of": [1, 0], "output_activation": "tanh", "readout": "every"}
    for cell in (get_cell("lstm_peephole"), Staged()):
        for dtype in ("float64", "float32"):
            for streams in (1, 7):
                net, twin = make_pair(cell, rng, dtype=dtype, hidden=37, stack={"num_layers": 2}, **settings)
                x = draw(rng, streams, 6, 3)
                rows = x if streams > 1 else x[0]
                agree(net.stream(streams).push(rows).reshape(streams, 6, 2), twin.forward(x).y_hat, dtype)


def test_the_product_of_one_row_stays_in_registers(processor: Target) -> None:
    layout = StreamLayout(Layout.of(get_cell("elman")))
    text = machine_code.assembly(stream_kernels.emit_stream_module(layout, "float", "identity"))
    start = text.index("gemv:")
    body = text[start : text.index(".Lfunc_end", start)]
    assert not re.search(r"%[xyz]mm\d+, -?\d*\(%rsp|\(%rsp\), %[xyz]mm", body)
    assert ("zmm" in body) == (processor.vector_bytes == 64)
