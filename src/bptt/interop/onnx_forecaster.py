"""A trained forecaster as one ONNX model, from values in the unit of the source to forecasts in that unit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from bptt.errors import InvalidInput, InvalidType
from bptt.forecast import Forecaster
from bptt.forecast.features.calendar import YEAR
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.fitting.trained import Trained
from bptt.interop.onnx_file import write_model
from bptt.interop.onnx_graph import END, Graph
from bptt.interop.onnx_layers import add_stack

FLOAT, DOUBLE = 1, 11  # ONNX' numbers for the two kinds
DAY = 86400


def forecaster_to_onnx(forecaster: Forecaster, path: str | os.PathLike[str]) -> Path:
    """Write a trained forecaster as an ONNX model: scaling, gaps, calendar, networks and linear path.

    Parameters
    ----------
    forecaster : Forecaster
        Trained.
    path : str or path
        The file to write.

    Returns
    -------
    Path
        Of the file. Inputs, in the units of the source, rows one step apart and oldest first, NaN where missing:
        ``y`` float64 (batch, time); with past columns ``past`` (batch, time, P); with columns known ahead ``future``
        (batch, known, Q), the rows of the history and those after it; ``static`` (batch, S); with a calendar ``clock``
        int64 (batch, time), seconds since 1970 that the wall's clock shows; ``series`` int64 (batch,), the number of
        the series in training, or -1 for a new one, which is scaled by its own rows. Output: ``y_hat`` float64
        (batch, K).

    Raises
    ------
    NotFittedError, InvalidInput, InvalidType
        Not trained, not a forecaster, a head that is not direct, or steps of months with a calendar.
    LibraryMissing
        Without the library onnx: ``pip install 'bptt[onnx]'``.

    Notes
    -----
    Columns are those that the model reads; ``forecaster.fitted.trained.encoding`` names them. Networks run in float32,
    the rest in float64. Intervals are not part of the model.
    """
    if not isinstance(forecaster, Forecaster):
        raise InvalidType(f"forecaster must be a Forecaster. Got {type(forecaster).__name__}")
    trained = forecaster.fitted.trained
    step = trained.encoding.step
    if trained.encoding.head != "direct":
        raise InvalidInput(
            f"forecaster must have a direct head for ONNX. Got {trained.encoding.head!r}: fit with head='direct'"
        )
    if trained.encoding.calendar.cycles and np.datetime_data(step.dtype)[0] not in ("s", "m", "h", "D"):
        raise InvalidInput(f"forecaster must have steps of one length with a calendar. Got steps of {step}")
    return write_model(forecaster_graph(trained), path)


def forecaster_graph(trained: Trained) -> Graph:
    """Return the graph of a trained forecaster."""
    g, encoding = Graph(), trained.encoding
    columns = len(encoding.past)
    y = g.add("Transpose", g.want("y", ("batch", "time"), "float64"), perm=[1, 0])
    if encoding.transform == "log1p":
        y = g.add("Log", g.add("Add", y, g.double(1.0)))
    centre, scale = _add_scale(g, encoding, y)
    raw = g.add("Unsqueeze", g.add("Div", g.add("Sub", y, centre), scale), g.whole(2))
    if columns:
        past = _standard(g, encoding, g.want("past", ("batch", "time", columns), "float64"), 0, columns)
        raw = g.add("Concat", raw, g.add("Transpose", past, perm=[1, 0, 2]), axis=2)
    filled, ages = _add_fill(g, raw, 1 + columns)
    first = g.add("Tile", g.take(filled, 0, 1, 0), g.whole(encoding.reach, 1, 1))
    whole = g.add("Concat", first, filled, axis=0)  # (reach + T, B, 1 + P)
    x = _add_inputs(g, encoding, y, whole, filled, ages)
    linear = trained.linear
    y_hat = g.double(np.zeros(encoding.horizon * encoding.parts) if linear is None else linear.intercept)
    if linear is not None and linear.weights.any():
        features = _add_window(g, encoding, x, whole)
        y_hat = g.add("Add", y_hat, g.add("MatMul", features, g.double(linear.weights)))
    for net in trained.nets:
        stack = net.recurrent
        shape = g.add(
            "Concat",
            g.whole(len(stack.prefixes)),
            g.add("Shape", y, start=1),
            g.whole(stack.hidden_size),
            axis=0,
        )
        zeros = g.add("Expand", g.number(np.zeros((1, 1, 1))), shape)
        _, _, last = add_stack(g, stack, net.parameters, x, dict.fromkeys(stack.states, zeros))
        weights = net.parameters["readout.W_hy"] / len(trained.nets)
        y_hat = g.add("Add", y_hat, g.add("MatMul", g.add("Cast", last, to=DOUBLE), g.double(weights)))
    if encoding.parts > 1:
        y_hat = _own_part(g, encoding, y_hat)
    # The anchor, so many rows before the newest.
    anchors = g.add("Gather", g.take(whole, 0, 1, 2), g.whole(*(-1 - encoding.anchors()).tolist()), axis=0)
    base = g.add("Transpose", g.add("Squeeze", anchors, g.whole(2)), perm=[1, 0])
    z = g.add("Add", base, g.add("Mul", y_hat, g.double(encoding.target)))
    found = g.add(
        "Add", g.add("Mul", z, g.add("Unsqueeze", scale, g.whole(1))), g.add("Unsqueeze", centre, g.whole(1))
    )
    if encoding.transform is not None:
        found = g.add("Max", found, g.double(0.0))
    if encoding.transform == "log1p":
        found = g.add("Sub", g.add("Exp", found), g.double(1.0))
    g.give("y_hat", found, ("batch", encoding.horizon), "float64")
    return g


def _add_scale(g: Graph, encoding: Encoding, y: str) -> tuple[str, str]:
    """Return centre and scale (B,) of each series: those of training, or of its own rows y (T, B)."""
    series = g.want("series", ("batch",), "int64")
    there = g.add("Not", g.add("IsNaN", y))
    count = g.add("Max", _sum(g, g.add("Cast", there, to=DOUBLE)), g.double(1.0))
    mean = g.add("Div", _sum(g, g.add("Where", there, y, g.double(0.0))), count)
    apart = g.add("Where", there, g.add("Sub", y, mean), g.double(0.0))
    deviation = g.add("Sqrt", g.add("Div", _sum(g, g.add("Mul", apart, apart)), count))
    least = g.add("Mul", g.double(1e-9), g.add("Max", g.double(1.0), g.add("Abs", mean)))
    deviation = g.add("Where", g.add("Greater", deviation, least), deviation, g.double(1.0))
    new, number = g.add("Less", series, g.index(0)), g.add("Max", series, g.index(0))
    return (
        g.add("Where", new, mean, g.add("Gather", g.double(encoding.centres), number)),
        g.add("Where", new, deviation, g.add("Gather", g.double(encoding.scales), number)),
    )


def _own_part(g: Graph, encoding: Encoding, y_hat: str) -> str:
    """Return of what all groups' closed forms say (B, parts K) each series' own (B, K); a new one's is that of all."""
    new, number = g.add("Less", "series", g.index(0)), g.add("Max", "series", g.index(0))
    part = g.add("Where", new, g.index(0), g.add("Gather", g.whole(*encoding.groups), number))
    apart = g.add("Reshape", y_hat, g.whole(-1, encoding.parts, encoding.horizon))
    return g.add("GatherND", apart, g.add("Unsqueeze", part, g.whole(1)), batch_dims=1)


def _sum(g: Graph, array: str) -> str:
    return g.add("ReduceSum", array, g.whole(0), keepdims=0)


def _standard(g: Graph, encoding: Encoding, array: str, first: int, stop: int) -> str:
    """Return columns less their means, by their deviations."""
    apart = g.add("Sub", array, g.double(encoding.means[first:stop]))
    return g.add("Div", apart, g.double(encoding.deviations[first:stop]))


def _add_fill(g: Graph, raw: str, columns: int) -> tuple[str, str]:
    """Return columns (T, B, C) with gaps filled with the last value, and the rows since the target was seen."""
    body = Graph(around=g)
    value = body.want(body.name("filled_prev"), ("batch", columns), "float64")
    age = body.want(body.name("age_prev"), ("batch", 1), "float64")
    row = body.want(body.name("row"), ("batch", columns), "float64")
    gone = body.add("IsNaN", row)
    new = body.add("Where", gone, value, row)
    older = body.add("Add", age, body.double(1.0))
    age = body.add("Where", body.take(gone, 0, 1, 1), older, body.double(0.0))
    for name, array, size in (("filled", new, columns), ("age", age, 1)) * 2:
        body.give(body.name(f"{name}_next"), array, ("batch", size), "float64")
    batch = g.add("Shape", raw, start=1, end=2)
    zeros = [
        g.add("Expand", g.double(np.zeros((1, 1))), g.add("Concat", batch, g.whole(n), axis=0))
        for n in (columns, 1)
    ]
    _, _, filled, ages = g.add_many("Scan", 4, *zeros, raw, body=body, num_scan_inputs=1)
    return filled, ages


def _add_inputs(g: Graph, encoding: Encoding, y: str, whole: str, filled: str, ages: str) -> str:
    """Return what the networks read, float32 (T, B, D)."""
    P, Q = len(encoding.past), len(encoding.future)
    before = g.take(whole, encoding.reach - 1, -1, 0)
    moved = g.add("Div", g.add("Sub", filled, before), g.double(encoding.change))
    moved = g.add("Asinh", g.add("Cast", moved, to=FLOAT))
    read = filled
    if encoding.level == "window":
        # The sum up to each row, less that up to a window before it.
        sums = g.add("CumSum", g.take(whole, 0, 1, 2), g.index(0))
        old = g.take(sums, encoding.reach - encoding.window, -encoding.window, 0)
        mean = g.add(
            "Div", g.add("Sub", g.take(sums, encoding.reach, END, 0), old), g.double(encoding.window)
        )
        read = g.add("Sub", g.take(filled, 0, 1, 2), mean)
        if P:
            read = g.add("Concat", read, g.take(filled, 1, END, 2), axis=2)
    level = g.add("Cast", _soft(g, read), to=FLOAT)
    parts = [g.take(array, 0, 1, 2) for array in (level, moved)]
    if P:
        parts += [g.take(level, 1, END, 2), g.take(moved, 1, END, 2)]
    if encoding.age:
        parts.append(g.add("Cast", g.add("Log", g.add("Add", ages, g.double(1.0))), to=FLOAT))
    parts += _add_calendar(g, encoding)
    steps = g.add("Shape", y, start=0, end=1)
    if encoding.ahead:
        known = _standard(g, encoding, g.want("future", ("batch", "known", Q), "float64"), P, P + Q)
        known = _soft(g, g.add("Transpose", known, perm=[1, 0, 2]))
        rows = g.add("Range", g.index(0), g.add("Squeeze", steps), g.index(1))
        ahead = g.add("Add", g.add("Unsqueeze", rows, g.whole(1)), g.whole(*encoding.ahead))
        newest = g.add("Sub", g.add("Shape", known, start=0, end=1), g.whole(1))
        known = g.add("Gather", known, g.add("Min", ahead, newest), axis=0)  # (T, A, B, Q)
        known = g.add("Transpose", known, perm=[0, 2, 1, 3])
        known = g.add("Reshape", known, g.whole(0, 0, len(encoding.ahead) * Q))
        parts.append(g.add("Cast", known, to=FLOAT))
    S = len(encoding.static)
    if S:
        static = _standard(g, encoding, g.want("static", ("batch", S), "float64"), P + Q, P + Q + S)
        static = g.add("Cast", g.add("Unsqueeze", static, g.whole(0)), to=FLOAT)
        parts.append(g.add("Expand", static, g.add("Concat", steps, g.whole(1, 1), axis=0)))
    x = g.add("Concat", *parts, axis=2)
    return g.add("Where", g.add("IsNaN", x), g.number(0.0), x)


def _soft(g: Graph, z: str) -> str:
    """Return z, beyond 5 deviations growing as its logarithm."""
    size, five = g.add("Abs", z), g.double(5.0)
    beyond = g.add("Max", g.add("Sub", size, five), g.double(0.0))
    slow = g.add("Add", five, g.add("Log", g.add("Add", beyond, g.double(1.0))))
    return g.add("Where", g.add("Greater", size, five), g.add("Mul", g.add("Sign", z), slow), z)


def _add_window(g: Graph, encoding: Encoding, x: str, whole: str) -> str:
    """Return what the linear path reads, float64 (B, W)."""
    parts = [g.add("Cast", g.add("Gather", x, g.index(-1), axis=0), to=DOUBLE)]
    if encoding.window > 1:
        z = g.take(g.take(whole, 0, 1, 2), -encoding.window, END, 0)
        older = g.add("Squeeze", g.add("Sub", g.take(z, 0, -1, 0), g.take(z, -1, END, 0)), g.whole(2))
        parts.append(g.add("Transpose", older, perm=[1, 0]))
    columns = len(encoding.past)
    if encoding.past_window > 1 and columns:
        past = _soft(g, g.take(g.take(whole, 1, END, 2), -encoding.past_window, -1, 0))
        past = g.add("Transpose", past, perm=[1, 2, 0])
        parts.append(g.add("Reshape", past, g.whole(0, columns * (encoding.past_window - 1))))
    return parts[0] if len(parts) == 1 else g.add("Concat", *parts, axis=1)


def _add_calendar(g: Graph, encoding: Encoding) -> list[str]:
    """Return the calendar's waves one step after each row, each (T, B, 1)."""
    cycles = encoding.calendar.cycles
    if not cycles:
        return []
    step = int(encoding.step / np.timedelta64(1, "s"))
    clock = g.add("Transpose", g.want("clock", ("batch", "time"), "int64"), perm=[1, 0])
    clock = g.add("Add", clock, g.index(step))
    second = g.add("Mod", clock, g.index(DAY))
    days = g.add("Div", g.add("Sub", clock, second), g.index(DAY))
    found = []
    for cycle in cycles:
        if cycle == "day":
            passed, length, waves = second, DAY, 2
        elif cycle == "week":
            passed, length, waves = g.add("Mod", g.add("Add", days, g.index(3)), g.index(7)), 7, 3
        else:
            day = g.add("Mul", _day_of_year(g, days), g.index(DAY))
            passed, length, waves = g.add("Add", day, second), round(YEAR), 1
        phase = g.add("Div", g.add("Cast", passed, to=DOUBLE), g.double(length))
        for k in range(1, waves + 1):
            turn = g.add("Cast", g.add("Mul", phase, g.double(2 * np.pi * k)), to=FLOAT)
            found += [g.add("Unsqueeze", g.add(wave, turn), g.whole(2)) for wave in ("Sin", "Cos")]
    return found


def _day_of_year(g: Graph, days: str) -> str:
    """Return the days since the first of January, of days since 1970.

    Years are counted from March, so that a leap day is a year's last; 400 of them are 146,097 days.
    """

    def by(array: str, divisor: int) -> str:
        return g.add("Div", array, g.index(divisor))

    def times(array: str, factor: int) -> str:
        return g.add("Mul", array, g.index(factor))

    shifted = g.add("Add", days, g.index(719_468))  # since the first of March of the year 0
    in_era = g.add("Mod", shifted, g.index(146_097))
    leaps = g.add("Sub", g.add("Sub", by(in_era, 36_524), by(in_era, 1_460)), by(in_era, 146_096))
    year = by(g.add("Add", in_era, leaps), 365)
    start = g.add("Sub", g.add("Add", times(year, 365), by(year, 4)), by(year, 100))
    since_march = g.add("Sub", in_era, start)
    fourth = g.add("Equal", g.add("Mod", year, g.index(4)), g.index(0))
    century = g.add("Equal", g.add("Mod", year, g.index(100)), g.index(0))
    fourth_century = g.add("Equal", g.add("Mod", year, g.index(400)), g.index(0))
    leap = g.add("And", fourth, g.add("Or", g.add("Not", century), fourth_century))
    from_january = g.add("Add", g.add("Add", since_march, g.index(59)), g.add("Cast", leap, to=7))
    after = g.add("Sub", since_march, g.index(306))
    return g.add("Where", g.add("Less", after, g.index(0)), from_january, after)
