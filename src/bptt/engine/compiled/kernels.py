"""A cell's compiled kernels, by layout, dtype and raggedness; compiled when first asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from bptt.engine.compiled.chunks import CHUNK_KERNELS, emit_chunks
from bptt.engine.compiled.llvm.emitter import Lanes
from bptt.engine.compiled.llvm.machine_code import Kernel, load_kernels, new_module
from bptt.engine.compiled.llvm.target import Target, host
from bptt.engine.compiled.rows import backward as rows_backward
from bptt.engine.compiled.rows import forward as rows_forward
from bptt.engine.compiled.rows import gradients as rows_gradients
from bptt.engine.compiled.rows.layout import RowsLayout
from bptt.engine.compiled.rows.products import RowsProducts
from bptt.engine.compiled.units import backward as backward_kernels
from bptt.engine.compiled.units import forward as forward_kernels
from bptt.engine.compiled.units import gradients as gradient_kernels
from bptt.engine.compiled.units.layout import Layout
from bptt.engine.compiled.units.one_sequence import UNIT_KERNELS, emit_units
from bptt.engine.compiled.units.products import Products

# In the order of a training step.
ROWS_KERNELS = (
    "pack_forward", "forward_rows",
    "pack_backward", "backward_rows", "weight_gradients", "input_gradient", *CHUNK_KERNELS, "collect",
)  # fmt: skip
# With units in the lanes threads may also share those of a few rows.
KERNELS = (*ROWS_KERNELS, *UNIT_KERNELS)


def lanes_of(kind: str, target: Target) -> Lanes:
    """Return the lanes of a dtype ("float" or "double") on a machine."""
    return Lanes(kind, target.vector_bytes // (4 if kind == "float" else 8))


def emit_module(layout: Layout, kind: str, *, ragged: bool, prefix: str = "") -> Any:
    """Return a module with the `KERNELS`."""
    target = host()
    lanes = lanes_of(kind, target)
    module = new_module("bptt")
    if isinstance(layout, RowsLayout):
        lines = RowsProducts(module, lanes, target)
        rows_forward.emit_forward(module, prefix, lanes, layout, lines, ragged=ragged)
        rows_backward.emit_backward(module, prefix, lanes, layout, lines, ragged=ragged)
        rows_gradients.emit_gradients(module, prefix, lanes, layout, lines)
        emit_chunks(module, prefix, lanes, layout)
        return module
    products = Products(module, lanes, target)
    stages = forward_kernels.emit_forward(module, prefix, lanes, layout, products, ragged=ragged)
    steps = backward_kernels.emit_backward(module, prefix, lanes, layout, products, ragged=ragged)
    gradient_kernels.emit_gradients(module, prefix, lanes, layout, products)
    emit_chunks(module, prefix, lanes, layout)
    emit_units(module, prefix, lanes, layout, products, stages, steps)
    return module


@lru_cache(maxsize=256)
def get_kernels(layout: Layout, kind: str, *, ragged: bool) -> dict[str, Kernel]:
    """Return the `KERNELS` by name."""
    gates = ", ".join(layout.plan.gates)
    rows = ", ragged rows" if ragged else ""
    dtype = "float32" if kind == "float" else "float64"
    wanted = f"a cell with the gates {gates}, {dtype}{rows}\n{layout.text}"
    return load_kernels(
        wanted,
        KERNELS if layout.name == "units" else ROWS_KERNELS,
        lambda prefix: emit_module(layout, kind, ragged=ragged, prefix=prefix),
    )
