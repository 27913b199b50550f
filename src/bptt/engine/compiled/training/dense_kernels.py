"""A dense layer over rows: the readout, and the linear path's lags, by the register tile of the recurrent products.

Rows of A have K numbers at stride `lda`, rows of C have N numbers padded to VN vectors, at stride `ldc` = VN * lanes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir

from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.arguments import ArgumentFrame
from bptt.engine.compiled.llvm.emitter import Value
from bptt.engine.compiled.llvm.machine_code import Kernel, load_kernels, new_module
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.units.products import BLOCK, Products

DENSE = {
    name: k
    for k, name in enumerate(
        (
            "M", "K", "N", "VN", "ldc",  # rows, inputs, outputs
            # What a call works on: rows (a multiple of a tile's, or the last), inputs of `dense_weights` (the same),
            # vectors of outputs of `dense_bias`.
            "first_row", "end_row", "first_input", "end_input", "first_vector", "end_vector",
            "A", "lda", "C", "W", "bias",  # W (K, N) and bias (N,) as the caller keeps them; no bias adds to C
            "dA", "ldda", "VK",  # rows of VK vectors
            "dW", "dbias",  # where the gradients go, without padding
            "packed", "padded_bias", "zeros", "block", "sums",  # room: see `dense_room`
        )
    )
}  # fmt: skip


# Outputs that are few: their products have the inputs in the lanes.
FEW = 4


def dense_room(K: int, N: int, lanes: int, panel: int) -> dict[str, int]:
    """Return how many numbers each room array needs."""
    wide, deep = -(-N // lanes) * lanes, -(-K // lanes) * lanes
    return {
        "packed": max(K * wide, wide * deep + deep),  # FEW lines of `deep` too: `wide` is no fewer
        "padded_bias": wide,
        "zeros": max(wide, deep),  # never written
        "block": BLOCK * (panel * lanes + K + lanes),
        "sums": K * wide,
    }


# What each thread needs for itself.
OWN = ("packed", "padded_bias", "block")


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
    """C = bias + A W, or C += A W where there is no bias; few outputs are computed whole, whatever the range."""
    K, N, VN, ldc = (e.number(name) for name in ("K", "N", "VN", "ldc"))
    one, zero = e.integer(1), e.integer(0)
    given = e.given("bias")
    few = e.b.icmp_signed("<=", N, e.integer(FEW))
    with e.when(few):
        _emit_few(e)
    with e.when(e.b.not_(few)):
        e.b.call(products.pack, [K, one, N, VN, e.pointer("W"), N, e.pointer("packed")])
        with e.when(given):
            e.b.call(products.pack, [one, one, N, VN, e.pointer("bias"), N, e.pointer("padded_bias")])
        rows, A, C = _rows(e, ("A", "lda"), ("C", "ldc"))
        start = e.b.select(given, e.pointer("padded_bias"), C)
        stride = e.b.select(given, zero, ldc)
        arguments = [rows, VN, K, A, e.number("lda"), one, e.pointer("packed"), C, ldc, start, stride, zero]
        e.b.call(products.gemm, arguments)
    e.b.ret_void()


def _rows(e: ArgumentFrame, *arrays: tuple[str, str]) -> tuple[Value, ...]:
    """Return how many rows a call works on, and where they lie in arrays: a name, and that of the stride."""
    first = e.number("first_row")
    found = (e.at(e.pointer(name), e.times(first, e.number(stride))) for name, stride in arrays)
    return e.b.sub(e.number("end_row"), first), *found


def _emit_few(e: ArgumentFrame) -> None:
    """Do the same for few outputs: the lanes are K, and their sums are added by halves.

    A vector of outputs would be mostly idle, and a sum by halves rounds less than one number after another: what is
    left of dL/db, the sum of the rows' errors, where these cancel is this rounding.
    """
    M, K, N, lda, ldc = (e.number(name) for name in ("M", "K", "N", "lda", "ldc"))
    zero, lanes, vector = e.integer(0), e.lanes.count, e.lanes.vector
    count, last = e.integer(lanes), e.b.sub(M, e.integer(1))
    deep = e.times(e.b.sdiv(e.plus(K, e.integer(lanes - 1)), count), count)
    W, C, packed, given = e.pointer("W"), e.pointer("C"), e.pointer("packed"), e.given("bias")
    with e.loop(zero, N) as n, e.loop(zero, deep, count) as k:
        e.store(e.const(0), e.at(packed, e.plus(e.times(n, deep), k)))
    with e.loop(zero, N) as n, e.loop(zero, K) as k:
        number = e.load_scalar(e.at(W, e.plus(e.times(k, N), n)))
        e.store(number, e.at(packed, e.plus(e.times(n, deep), k)))
    with e.when(given), e.loop(zero, M) as m, e.loop(zero, ldc, count) as n:
        mask = e.below(n, N)
        e.store(e.load_masked(e.at(e.pointer("bias"), n), mask), e.at(C, e.plus(e.times(m, ldc), n)))
    with e.loop(zero, N) as n, e.loop(zero, M, count) as m:
        weights = e.at(packed, e.times(n, deep))
        rows = [e.least(e.plus(m, e.integer(i)), last) for i in range(lanes)]
        lines = [e.at(e.pointer("A"), e.times(row, lda)) for row in rows]
        starts = []
        for row in rows:
            first = e.load_scalar(e.at(C, e.plus(e.times(row, ldc), n)))
            starts.append(e.b.insert_element(e.const(0), first, ir.Constant(ir.IntType(32), 0)))
        with e.loop_carrying(zero, deep, count, starts) as (k, sums, after):
            mask, weight = e.below(k, K), e.load(e.at(weights, k))
            after += [
                e.fma(e.load_masked(e.at(line, k), mask), weight, total)
                for line, total in zip(lines, sums, strict=True)
            ]
        found = e.variable(e.sum_lanes(sums))
        with e.loop(m, e.least(e.plus(m, count), M)) as row:
            number = e.b.extract_element(e.read(found, vector), e.b.sub(row, m))
            place = e.at(C, e.plus(e.times(row, ldc), n))
            e.store(number, place)


def _emit_weights(e: ArgumentFrame, products: Products) -> None:
    """DW = A^T C, where C now holds the gradient of the sums."""
    N, ldc, zero = e.number("N"), e.number("ldc"), e.integer(0)
    first, end = e.number("first_input"), e.number("end_input")
    sums, count = e.pointer("sums"), e.integer(e.lanes.count)
    with e.loop(e.times(first, ldc), e.times(end, ldc), count) as i:
        e.store(e.const(0), e.at(sums, i))
    arguments = [e.b.sub(end, first), e.number("VN"), e.number("M"), e.at(e.pointer("A"), first), e.number("lda"),
                 e.pointer("C"), ldc, e.at(sums, e.times(first, ldc)), ldc, e.pointer("block")]  # fmt: skip
    e.b.call(products.gradient, arguments)
    with e.loop(first, end) as k, e.loop(zero, N, count) as n:
        value = e.load(e.at(sums, e.plus(e.times(k, ldc), n)))
        e.store_masked(value, e.at(e.pointer("dW"), e.plus(e.times(k, N), n)), e.below(n, N))
    e.b.ret_void()


def _emit_bias(e: ArgumentFrame) -> None:
    """Sum the rows of C into dbias. What each addition loses is summed too and added at the end (Knuth's two-sum).

    The rows nearly cancel where training has come far, and the sum's own rounding would be most of what is left.
    It costs nothing: an addition waits for the one before, and these fill the wait.
    """
    M, N, ldc, zero = e.number("M"), e.number("N"), e.number("ldc"), e.integer(0)
    C, none = e.pointer("C"), e.const(0)
    with e.loop(e.number("first_vector"), e.number("end_vector")) as v:
        n = e.times(v, e.integer(e.lanes.count))
        with e.loop_carrying(zero, M, e.integer(1), [none, none]) as (m, (total, lost), after):
            row = e.load(e.at(C, e.plus(e.times(m, ldc), n)))
            more = e.b.fadd(total, row)
            taken = e.b.fsub(more, total)
            rest = e.b.fadd(e.b.fsub(total, e.b.fsub(more, taken)), e.b.fsub(row, taken))
            after += [more, e.b.fadd(lost, rest)]
        e.store_masked(e.b.fadd(total, lost), e.at(e.pointer("dbias"), n), e.below(n, N))
    e.b.ret_void()


def _emit_input(e: ArgumentFrame, products: Products) -> None:
    """DA = C W^T, its padding 0."""
    K, N, ldc, VK = (e.number(name) for name in ("K", "N", "ldc", "VK"))
    one, zero = e.integer(1), e.integer(0)
    e.b.call(products.pack_transposed, [one, N, ldc, K, VK, e.pointer("W"), N, e.pointer("packed")])
    rows, C, dA = _rows(e, ("C", "ldc"), ("dA", "ldda"))
    arguments = [
        rows,
        VK,
        N,
        C,
        ldc,
        one,
        e.pointer("packed"),
        dA,
        e.number("ldda"),
        e.pointer("zeros"),
        zero,
        zero,
    ]
    e.b.call(products.gemm, arguments)
    e.b.ret_void()
