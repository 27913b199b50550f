"""A table and a forecaster in words: which column is what, what was chosen, how far back it sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.fitting.intervals.conformal import FEW
from bptt.forecast.tables.layout import Layout, PanelData
from bptt.forecast.tables.steps import step_words

_SHOWN = 12
# Rows back that a network's influence is measured over, and the share that counts as what it sees.
_ROWS, _SHARE = 192, 0.9
_CLOCKS = {
    "utc": "with their offset from UTC",
    "local": "by the clock on the wall, without an offset",
    "count": "rows are counted, there is no clock",
}


def describe_columns(layout: Layout) -> list[tuple[str, str]]:
    """Return which column is what, as (role, columns) pairs."""
    zone = f" ({layout.zone})" if layout.zone else ""
    found = [("target", layout.target)]
    times = ", ".join(layout.time) or "none"
    found.append(("time", f"{times}; {_CLOCKS[layout.clock]}{zone}"))
    found.append(("step", "1 row" if layout.clock == "count" else step_words(layout.timedelta)))
    for role, names in (
        ("series by", layout.group),
        ("inputs", layout.past),
        ("known ahead", layout.future),
        ("of the series", layout.static),
    ):
        if names:
            found.append((role, _listed([_with_levels(layout, name) for name in names])))
        elif role == "inputs":
            found.append((role, "the target's own past"))
    if layout.left_out:
        found.append(("not used", _listed([f"{name} ({why})" for name, why in layout.left_out.items()])))
    return found


def describe_rows(data: PanelData) -> str:
    """Return how many rows of how many series, and from when to when."""
    lines = data.panel.lines
    rows = sum(map(len, lines))
    longest = max(lines, key=len)
    first, last = longest.local[0], longest.local[len(longest) - 1]
    span = "" if np.isnat(first) else f", {_moment(first)} to {_moment(last)}"
    if len(lines) == 1:
        return f"{rows:,} steps{span}"
    shortest = min(map(len, lines))
    each = f"{shortest:,}" if shortest == len(longest) else f"{shortest:,} to {len(longest):,}"
    return f"{len(lines):,} series of {each} steps, {rows:,} in all{span}"


def describe_model(fitted: Fitted) -> list[tuple[str, str]]:
    """Return what a trained forecaster is, as (name, value) pairs."""
    trained, recipe = fitted.trained, fitted.recipe
    encoding = trained.encoding
    parts = [net.parameters for net in trained.nets] + [decoder.parameters for decoder in trained.decoders]
    numbers = sum(int(p.size) for part in parts for p in part.values())
    if trained.linear is not None:
        numbers += int(trained.linear.weights.size + trained.linear.intercept.size)
    nets = f"{len(trained.nets)} {recipe.cell.upper()} network{_s(len(trained.nets))}"
    compared = not fitted.choice.reason
    kinds = {
        "network": f"{nets} of {recipe.hidden} units, {recipe.layers} layer{_s(recipe.layers)}, and a linear path over "
        "the newest rows",
        "ridge": "least squares on the newest rows" + compared * ": validation preferred it to the network",
        "last": "the last value repeated" + compared * ": validation preferred it to everything else",
        "season": "the last season repeated: validation preferred it to everything else",
    }
    found = [
        ("model", kinds[trained.kind]),
        ("horizon", f"{encoding.horizon} row{_s(encoding.horizon)} of {step_words(encoding.step)}"),
        ("parameters", f"{numbers:,}"),
        ("trained on", f"{fitted.rows:,} rows of {len(encoding.ids):,} series"),
        ("transform", encoding.transform or "none"),
        (
            "predicts",
            "the change from the " + {"last": "last value", "season": "last season"}[encoding.anchor],
        ),
        ("head", encoding.head),
        *_groups(encoding),
        ("calendar", ", ".join(encoding.calendar.cycles) or "none"),
    ]
    if trained.linear is not None:
        others = f", {encoding.past_window} of other columns" if encoding.past else ""
        found.append(("linear path", f"the newest {encoding.window} value{_s(encoding.window)}{others}"))
    seen = lag_influence(fitted)
    if seen is not None:
        reach = int(np.searchsorted(np.cumsum(seen) / seen.sum(), _SHARE)) + 1
        told = (
            f"{100 * _SHARE:.0f} % of what the inputs change in a forecast comes from the newest {reach} rows"
        )
        found.append(("network sees", f"{told} ({len(seen)} were looked at)"))
    found.append(("validation", fitted.choice.verdict()))
    few = too_few_for(fitted, 0.9)
    kind = "normal distributions, " if recipe.intervals == "gaussian" else ""
    told = f"{kind}calibrated on {fitted.intervals.rows:,} forecasts of rows held out"
    if not fitted.intervals.there:
        told = "none were asked for"
    found.append(("intervals", f"{told}, {few}" if few else told))
    return found


def _groups(encoding: Encoding) -> list[tuple[str, str]]:
    if encoding.parts == 1:
        return []
    sizes = np.bincount(encoding.groups, minlength=encoding.parts)[1:]
    told = ", ".join(f"{size:,}" for size in sorted(sizes, reverse=True))
    return [("groups", f"{told} series, each group with a readout and a linear path of its own")]


def too_few_for(fitted: Fitted, coverage: float) -> str:
    """Return in words that an interval was calibrated on too few forecasts for this coverage; "" where it was not.

    Of n forecasts the smallest and the largest error leave out a share of 2 / (n + 1) (split conformal prediction).
    """
    if not fitted.intervals.there:
        return ""
    rows = fitted.intervals.rows
    if fitted.recipe.intervals == "gaussian" and rows >= FEW:
        return ""
    most = 1 - 2 / (rows + 1)
    # (n + 1)(1 - c) = 2 must not fail by rounding.
    return (
        ""
        if most >= coverage - 1e-9
        else f"enough for {100 * max(most, 0.0):.0f} %, not for {100 * coverage:g} %"
    )


def lag_influence(fitted: Fitted, rows: int = _ROWS) -> Array | None:
    """Return by how much the networks' forecasts change with the inputs of 0, 1, 2, ... rows back.

    Returns
    -------
    ndarray float64 (R,) or None
        Mean over the first, middle and last step of the sum of absolute derivatives, in scaled units, at the mean of
        all inputs; None without networks, and where a decoder stands between state and forecast. The linear path is
        not part of it.
    """
    nets = fitted.trained.nets
    if not nets or fitted.trained.decoders:
        return None
    total = np.zeros(rows)
    for net in nets:
        record = net.forward(np.zeros((1, rows, fitted.trained.encoding.inputs)))
        K = record.y_hat.shape[-1]
        steps = {0, K // 2, K - 1}
        for k in steps:
            dy = np.zeros_like(record.y_hat)
            dy[0, -1, k] = 1.0
            dx = net.backward(record, dy).x
            assert dx is not None
            total += np.abs(dx[0]).sum(axis=1)[::-1] / len(steps)
    return total / len(nets)


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _with_levels(layout: Layout, name: str) -> str:
    levels = layout.levels.get(name)
    policy = layout.missing.get(name)
    told = [f"{len(levels)} kinds"] if levels else []
    told += [{"forward": "gaps filled, with age", "mask": "gaps marked"}[policy]] if policy else []
    name = f'"{name}"' if "," in name else name  # else one could not tell where it ends
    return f"{name} ({', '.join(told)})" if told else name


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _moment(when: np.datetime64) -> str:
    return str(when.astype("datetime64[m]")).replace("T", " ").removesuffix(" 00:00")
