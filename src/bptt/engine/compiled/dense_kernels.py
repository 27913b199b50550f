"""A dense layer over rows: the readout, and the linear path's lags, by the register tile of the recurrent products.

Rows of A have K numbers at stride `lda`, rows of C have N numbers padded to VN vectors, at stride `ldc` = VN * lanes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from bptt.engine.compiled.arguments import ArgumentFrame
from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.machine_code import Kernel, load_kernels, new_module
from bptt.engine.compiled.products import BLOCK, Products
from bptt.engine.compiled.target import host

DENSE = {
    name: k
    for k, name in enumerate(
        (
            "M", "K", "N", "VN", "ldc",  # rows, inputs, outputs
            "A", "lda", "C", "W", "bias",  # W (K, N) and bias (N,) as the caller keeps them; no bias adds to C
            "dA", "ldda", "VK",  # rows of VK vectors
            "dW", "dbias",  # where the gradients go, without padding
            "packed", "padded_bias", "zeros", "block", "sums",  # room: see `dense_room`
        )
    )
}  # fmt: skip


def dense_room(K: int, N: int, lanes: int, panel: int) -> dict[str, int]:
    """Return how many numbers each room array needs."""
    wide, deep = -(-N // lanes) * lanes, -(-K // lanes) * lanes
    return {
        "packed": max(K * wide, wide * deep + deep),
        "padded_bias": wide,
        "zeros": max(wide, deep),  # never written
        "block": BLOCK * (panel * lanes + K + lanes),
        "sums": K * wide,
    }


@cache
def dense_kernels(kind: str) -> dict[str, Kernel]:
    """Return ``dense_forward``, ``dense_weights``, ``dense_bias`` and ``dense_input``."""
    names = ("dense_forward", "dense_weights", "dense_bias", "dense_input")
    return load_kernels(f"dense, {kind}", names, lambda prefix: _emit(prefix, kind))


def _emit(prefix: str, kind: str) -> Any:
    target = host()
    lanes = lanes_of(kind, target)
    module = new_module("bptt")
    products = Products(module, lanes, target)

    def frame(name: str) -> ArgumentFrame:
        return ArgumentFrame(module, prefix + name, lanes, DENSE, public=True)

    _emit_forward(frame("dense_forward"), products)
    _emit_weights(frame("dense_weights"), products)
    _emit_bias(frame("dense_bias"))
    _emit_input(frame("dense_input"), products)
    return module


def _emit_forward(e: ArgumentFrame, products: Products) -> None:
    """C = bias + A W, or C += A W where there is no bias."""
    K, N, VN, ldc = (e.number(name) for name in ("K", "N", "VN", "ldc"))
    one, zero = e.integer(1), e.integer(0)
    e.b.call(products.pack, [K, one, N, VN, e.pointer("W"), N, e.pointer("packed")])
    given = e.given("bias")
    with e.when(given):
        e.b.call(products.pack, [one, one, N, VN, e.pointer("bias"), N, e.pointer("padded_bias")])
    start = e.b.select(given, e.pointer("padded_bias"), e.pointer("C"))
    stride = e.b.select(given, zero, ldc)
    arguments = [e.number("M"), VN, K, e.pointer("A"), e.number("lda"), one, e.pointer("packed"), e.pointer("C"), ldc,
                 start, stride, zero]  # fmt: skip
    e.b.call(products.gemm, arguments)
    e.b.ret_void()


def _emit_weights(e: ArgumentFrame, products: Products) -> None:
    """DW = A^T C, where C now holds the gradient of the sums."""
    K, N, ldc, zero = e.number("K"), e.number("N"), e.number("ldc"), e.integer(0)
    sums, count = e.pointer("sums"), e.integer(e.lanes.count)
    with e.loop(zero, e.times(K, ldc), count) as i:
        e.store(e.const(0), e.at(sums, i))
    arguments = [K, e.number("VN"), e.number("M"), e.pointer("A"), e.number("lda"), e.pointer("C"), ldc, sums, ldc,
                 e.pointer("block")]  # fmt: skip
    e.b.call(products.gradient, arguments)
    with e.loop(zero, K) as k, e.loop(zero, N, count) as n:
        value = e.load(e.at(sums, e.plus(e.times(k, ldc), n)))
        e.store_masked(value, e.at(e.pointer("dW"), e.plus(e.times(k, N), n)), e.below(n, N))
    e.b.ret_void()


def _emit_bias(e: ArgumentFrame) -> None:
    """Sum the rows of C into dbias: sums of blocks first, then their sum, which keeps rounding small."""
    M, N, ldc, zero = e.number("M"), e.number("N"), e.number("ldc"), e.integer(0)
    C, block, vector = e.pointer("C"), e.integer(BLOCK), e.lanes.vector
    with e.loop(zero, N, e.integer(e.lanes.count)) as n:
        total = e.variable(e.const(0))
        with e.loop(zero, M, block) as first:
            part = e.variable(e.const(0))
            with e.loop(first, e.least(e.plus(first, block), M)) as m:
                row = e.load(e.at(C, e.plus(e.times(m, ldc), n)))
                e.write(e.add(e.read(part, vector), row), part)
            e.write(e.add(e.read(total, vector), e.read(part, vector)), total)
        e.store_masked(e.read(total, vector), e.at(e.pointer("dbias"), n), e.below(n, N))
    e.b.ret_void()


def _emit_input(e: ArgumentFrame, products: Products) -> None:
    """DA = C W^T, its padding 0."""
    K, N, ldc, VK = (e.number(name) for name in ("K", "N", "ldc", "VK"))
    one, zero = e.integer(1), e.integer(0)
    e.b.call(products.pack_transposed, [one, N, ldc, K, VK, e.pointer("W"), N, e.pointer("packed")])
    arguments = [e.number("M"), VK, N, e.pointer("C"), ldc, one, e.pointer("packed"), e.pointer("dA"), e.number("ldda"),
                 e.pointer("zeros"), zero, zero]  # fmt: skip
    e.b.call(products.gemm, arguments)
    e.b.ret_void()
