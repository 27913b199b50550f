"""The steps of a stream: all layers, readout, activation, linear path and change, for every stream, in one call.

A tile of streams runs through all steps of a block. The states before and after a step lie at even and odd places in
turn, so that a step reads what it does not write.
"""

from __future__ import annotations

from typing import Any

from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.emitter import I64, POINTER, Lanes, Value
from bptt.engine.compiled.llvm.machine_code import new_module
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.streams.frame import I32, StreamFrame
from bptt.engine.compiled.streams.layer import emit_layer
from bptt.engine.compiled.streams.layout import HEAD, HEAD_SLOTS, StreamLayout
from bptt.engine.compiled.streams.products import StreamProducts
from bptt.engine.compiled.streams.readout import emit_readout


def emit_stream_module(layout: StreamLayout, kind: str, activation: str, prefix: str = "") -> Any:
    """Return a module with ``pack_layer(a layer's arguments)`` and ``advance(arguments)``.

    `advance` returns 1, and has then changed nothing, where a number of x is not finite.
    """
    target = host()
    lanes = lanes_of(kind, target)
    module = new_module("bptt_stream")
    products = StreamProducts(module, lanes, target)
    _emit_pack(module, f"{prefix}pack_layer", lanes, layout, products)
    _emit_advance(module, f"{prefix}advance", lanes, layout, products, activation)
    return module


def _emit_pack(module: Any, name: str, lanes: Lanes, layout: StreamLayout, products: StreamProducts) -> None:
    """Pack a layer's weights, whose addresses are in its arguments during this call."""
    e = StreamFrame(module, name, lanes, layout.slots, result=I32)
    H = e.number("H")
    for runs in layout.layout.runs:
        for run in runs:
            rows = e.number("D") if run.kind == "x" else H
            stride = e.times(e.integer(layout.layout.plan.weights[run.weight][1]), H)
            source = e.at(e.pointer(f"weight:{run.weight}"), e.times(e.integer(run.block), H))
            target = e.pointer(f"packed:{run.key}")
            e.b.call(products.pack, [rows, e.integer(run.count), H, e.number("V"), source, stride, target])
    e.b.ret(I32(0))


def _emit_advance(
    module: Any, name: str, lanes: Lanes, layout: StreamLayout, products: StreamProducts, activation: str
) -> None:
    take = _emit_take(module, lanes)
    layer = emit_layer(module, lanes, layout, products)
    read = emit_readout(module, lanes, activation)
    e = StreamFrame(module, name, lanes, HEAD_SLOTS, result=I32)
    S, T, P = (e.number(name) for name in ("S", "T", "P"))
    refused = _not_finite(e, e.pointer("x"), e.times(S, T, e.number("D")))
    with e.when(e.b.not_(refused)):
        clock = e.load_integer(e.pointer("clock"), e.integer(0))
        with e.loop(e.integer(0), S, e.number("tile")) as row, e.loop(e.integer(0), T) as t:
            rows = e.least(e.number("tile"), e.b.sub(S, row))
            now = e.b.and_(e.plus(clock, t), e.integer(1))
            e.b.call(take, [e.arguments, t, row, rows])
            operand = e.variable(_newest(e, row))
            stride = e.variable(e.number("row"))
            with e.loop(e.integer(0), e.number("layers")) as k:
                first = e.plus(e.integer(len(HEAD)), e.times(k, e.integer(len(layout.slots))))
                own = e.b.gep(e.arguments, [first], source_etype=I64)
                e.b.call(layer, [own, now, row, rows, e.read(operand, POINTER), e.read(stride, I64)])
                h = e.b.inttoptr(e.load_integer(own, e.integer(layout.slots["state:h"])), POINTER)
                after = e.plus(e.times(e.b.sub(e.integer(1), now), S), row)
                e.write(e.at(h, e.times(after, P)), operand)
                e.write(P, stride)
            e.b.call(read, [e.arguments, t, row, rows, e.read(operand, POINTER)])
        e.b.store(e.plus(clock, T), e.pointer("clock"))
    e.b.ret(e.b.zext(refused, I32))


def _newest(e: StreamFrame, row: Value) -> Value:
    """Return the newest of a stream's kept rows."""
    before = e.times(e.b.sub(e.number("R"), e.integer(1)), e.number("I"))
    return e.at(e.pointer("rows"), e.plus(e.times(row, e.number("row")), before))


def _not_finite(e: StreamFrame, array: Value, count: Value) -> Value:
    """Tell whether any of `count` numbers is NaN or infinite: such a number times 0 is NaN, and stays in a sum."""
    sums = e.variable(e.const(0))
    with e.loop(e.integer(0), count, e.integer(e.lanes.count)) as i:
        several = e.load_masked(e.at(array, i), e.below(i, count))
        e.write(e.fma(several, e.const(0), e.read(sums, e.lanes.vector)), sums)
    total = e.fold(e.read(sums, e.lanes.vector), "sum")
    return e.b.fcmp_unordered("uno", total, total)


def _emit_take(module: Any, lanes: Lanes) -> Any:
    """Emit ``take(arguments, t, row, rows)``: the rows of step t, and what is fed back, become the newest ones."""
    e = StreamFrame(module, "take", lanes, HEAD_SLOTS, "t row rows")
    t, row, rows = e.more
    T, D, I, K = (e.number(name) for name in ("T", "D", "I", "K"))
    older = e.times(e.b.sub(e.number("R"), e.integer(1)), I)
    with e.loop(row, e.plus(row, rows)) as s:
        kept = e.at(e.pointer("rows"), e.times(s, e.number("row")))
        # Upwards, whole vectors: what is read has not been written yet, and behind the last row there are zeros.
        with e.loop(e.integer(0), older, e.integer(lanes.count)) as i:
            e.store(e.load(e.at(kept, e.plus(i, I))), e.at(kept, i))
        newest = e.at(kept, older)
        source = e.at(e.pointer("x"), e.times(e.plus(e.times(s, T), t), D))
        with e.loop(e.integer(0), D) as d:
            e.store(e.load_scalar(e.at(source, d)), e.at(newest, d))
        with e.when(e.given("feedback")), e.loop(e.integer(0), K) as k:
            fed = e.load_scalar(e.at(e.pointer("fed"), e.plus(e.times(s, K), k)))
            e.store(fed, e.at(newest, e.plus(D, k)))
    e.b.ret_void()
    return e.function
