"""A cell's compiled kernels, by layout, dtype and raggedness; compiled when first asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from bptt.engine.compiled.backward_kernels import emit_backward
from bptt.engine.compiled.emitter import Lanes
from bptt.engine.compiled.forward_kernels import emit_forward
from bptt.engine.compiled.layout import Layout
from bptt.engine.compiled.machine_code import Kernel, load_kernels, new_module
from bptt.engine.compiled.products import Products
from bptt.engine.compiled.target import Target, host


def lanes_of(kind: str, target: Target) -> Lanes:
    """Return the lanes of a dtype ("float" or "double") on a machine."""
    return Lanes(kind, target.vector_bytes // (4 if kind == "float" else 8))


def emit_module(layout: Layout, kind: str, *, ragged: bool, prefix: str = "") -> Any:
    """Return a module with the kernels ``forward`` and ``backward``."""
    target = host()
    lanes = lanes_of(kind, target)
    module = new_module("bptt")
    products = Products(module, lanes, target)
    emit_forward(module, f"{prefix}forward", lanes, layout, products, ragged=ragged)
    emit_backward(module, f"{prefix}backward", lanes, layout, products, ragged=ragged)
    return module


@lru_cache(maxsize=256)
def get_kernels(layout: Layout, kind: str, *, ragged: bool) -> dict[str, Kernel]:
    """Return ``forward`` and ``backward``."""
    wanted = f"sweeps, {kind}{', ragged' if ragged else ''}\n{layout.text}"
    return load_kernels(
        wanted,
        ("forward", "backward"),
        lambda prefix: emit_module(layout, kind, ragged=ragged, prefix=prefix),
    )
