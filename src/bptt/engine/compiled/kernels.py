"""A cell's compiled kernels, by layout, dtype and raggedness; compiled when first asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from bptt.engine.compiled.backward_kernels import emit_backward
from bptt.engine.compiled.emitter import Lanes
from bptt.engine.compiled.forward_kernels import emit_forward
from bptt.engine.compiled.gradient_kernels import emit_gradients
from bptt.engine.compiled.layout import Layout
from bptt.engine.compiled.machine_code import Kernel, load_kernels, new_module
from bptt.engine.compiled.products import Products
from bptt.engine.compiled.target import Target, host
from bptt.engine.compiled.unit_kernels import UNIT_KERNELS, emit_units

# In the order of a training step.
KERNELS = (
    "pack_forward", "forward_rows",
    "pack_backward", "backward_rows", "weight_gradients", "input_gradient", "collect",
    *UNIT_KERNELS,
)  # fmt: skip


def lanes_of(kind: str, target: Target) -> Lanes:
    """Return the lanes of a dtype ("float" or "double") on a machine."""
    return Lanes(kind, target.vector_bytes // (4 if kind == "float" else 8))


def emit_module(layout: Layout, kind: str, *, ragged: bool, prefix: str = "") -> Any:
    """Return a module with the `KERNELS`."""
    target = host()
    lanes = lanes_of(kind, target)
    module = new_module("bptt")
    products = Products(module, lanes, target)
    stages = emit_forward(module, prefix, lanes, layout, products, ragged=ragged)
    steps = emit_backward(module, prefix, lanes, layout, products, ragged=ragged)
    emit_gradients(module, prefix, lanes, layout, products)
    emit_units(module, prefix, lanes, layout, products, stages, steps)
    return module


@lru_cache(maxsize=256)
def get_kernels(layout: Layout, kind: str, *, ragged: bool) -> dict[str, Kernel]:
    """Return the `KERNELS` by name."""
    wanted = f"sweeps, {kind}{', ragged' if ragged else ''}\n{layout.text}"
    return load_kernels(
        wanted,
        KERNELS,
        lambda prefix: emit_module(layout, kind, ragged=ragged, prefix=prefix),
    )
