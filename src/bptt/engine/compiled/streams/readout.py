"""From the top layer's outputs to a stream's predictions.

With few outputs the units, not the outputs, belong in the lanes: each prediction is a sum of products over lanes.
"""

from __future__ import annotations

from typing import Any

from bptt.engine.compiled.llvm.emitter import Lanes, Value
from bptt.engine.compiled.llvm.functions import EMITTED
from bptt.engine.compiled.streams.frame import StreamFrame
from bptt.engine.compiled.streams.layout import HEAD_SLOTS


def emit_readout(module: Any, lanes: Lanes, activation: str) -> Any:
    """Emit ``read(arguments, t, row, rows, h)``: predictions of step t from the tile's outputs, rows of P."""
    e = StreamFrame(module, "read", lanes, HEAD_SLOTS, "t row rows H")
    t, row, rows, h = e.more
    T, K, P = (e.number(name) for name in ("T", "K", "P"))
    with e.loop(e.integer(0), rows) as b:
        stream = e.plus(row, b)
        _sums(e, e.at(h, e.times(b, P)), stream)
        with e.loop(e.integer(0), K, e.integer(lanes.count)) as k:
            value = EMITTED[activation](e, e.load(e.at(e.pointer("a_y"), k)))
            e.store(value, e.at(e.pointer("activated"), k))
        y = e.at(e.pointer("y"), e.times(e.plus(e.times(stream, T), t), K))
        with e.loop(e.integer(0), K) as k:
            value = e.load_scalar(e.at(e.pointer("activated"), k))
            e.store(value, e.at(y, k))
            with e.when(e.given("columns")):
                change = e.b.fmul(value, e.load_scalar(e.pointer("scale")))
                e.store(e.b.fadd(_last(e, stream, k), change), e.at(y, k))
            with e.when(e.given("feedback")):
                fed = e.at(e.pointer("fed"), e.plus(e.times(stream, K), k))
                e.store(e.load_scalar(e.at(y, k)), fed)
    e.b.ret_void()
    return e.function


def _sums(e: StreamFrame, h: Value, stream: Value) -> None:
    """a_y = h W_hy + newest rows W_xy + b_y of one stream."""
    P, I, lanes = e.number("P"), e.number("I"), e.integer(e.lanes.count)
    seen = e.times(e.number("R"), I)
    padded = e.times(e.b.sdiv(e.plus(seen, e.b.sub(lanes, e.integer(1))), lanes), lanes)
    with e.loop(e.integer(0), e.number("K")) as k:
        sums = e.variable(e.const(0))
        weights = e.at(e.pointer("readout"), e.times(k, P))
        with e.loop(e.integer(0), e.number("H"), lanes) as unit:
            # What a formula made of the padding reaches nothing.
            outputs = e.load_masked(e.at(h, unit), e.below(unit, e.number("H")))
            _add(e, outputs, e.load(e.at(weights, unit)), sums)
        with e.when(e.given("linear")):
            weights = e.at(e.pointer("linear"), e.times(k, padded))
            rows = e.at(e.pointer("rows"), e.times(stream, e.number("row")))
            with e.loop(e.integer(0), seen, lanes) as i:
                _add(e, e.load(e.at(rows, i)), e.load(e.at(weights, i)), sums)
        total = e.fold(e.read(sums, e.lanes.vector), "sum")
        bias = e.load_scalar(e.at(e.pointer("readout_bias"), k))
        e.store(e.b.fadd(total, bias), e.at(e.pointer("a_y"), k))


def _add(e: StreamFrame, a: Value, b: Value, sums: Value) -> None:
    e.write(e.fma(a, b, e.read(sums, e.lanes.vector)), sums)


def _last(e: StreamFrame, stream: Value, k: Value) -> Value:
    """Return the newest value of the column whose change prediction k is."""
    column = e.load_integer(e.pointer("columns"), k)
    newest = e.times(e.b.sub(e.number("R"), e.integer(1)), e.number("I"))
    place = e.plus(e.times(stream, e.number("row")), newest, column)
    return e.load_scalar(e.at(e.pointer("rows"), place))
