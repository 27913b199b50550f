"""Measuring the training rows: scales of lines, columns, changes and targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.encoding import Encoded, Encoding, encode, forward, measure
from bptt.forecast.features.targets import Targets
from bptt.forecast.panel import Panel

# Inputs known ahead are read at most so often each step.
_FUTURE_INPUTS = 64


def fit_encoding(
    panel: Panel,
    *,
    horizon: int,
    calendar: Calendar,
    transform: str | None,
    anchor: str,
    period: int,
    window: int,
    past_window: int,
    level: str = "own",
    head: str = "direct",
) -> Encoding:
    """Measure the training rows."""
    scales = [measure(forward(line.y, transform)) for line in panel]
    past = np.concatenate([line.past for line in panel])
    future = np.concatenate([line.future[: len(line)] for line in panel])
    static = np.stack([line.static for line in panel])
    measured = [measure(block[:, k]) for block in (past, future, static) for k in range(block.shape[1])]
    encoding = Encoding(
        horizon=horizon,
        calendar=calendar,
        step=panel.step,
        transform=transform,
        anchor=anchor,
        period=period,
        window=window,
        past_window=past_window,
        age=any(bool(np.isnan(line.y).any()) for line in panel),
        past=panel.past,
        future=panel.future,
        static=panel.static,
        ahead=_rows_known(head, horizon, len(panel.future)),
        ids=tuple(line.id for line in panel),
        centres=np.array([mean for mean, _ in scales]),
        scales=np.array([deviation for _, deviation in scales]),
        means=np.array([mean for mean, _ in measured]),
        deviations=np.array([deviation for _, deviation in measured]),
        change=np.ones(1 + len(panel.past)),
        target=np.ones(horizon),
        level=level,
        head=head,
    )
    lines = [encode(encoding, line) for line in panel]
    return replace(encoding, change=_changes(lines), target=_target_scale(encoding, lines))


def with_lines(encoding: Encoding, panel: Panel) -> Encoding:
    """Return the encoding with the names and scales of all these lines, where it was measured on some of them.

    Those that it was not measured on are in no group.
    """
    scales = [measure(forward(line.y, encoding.transform)) for line in panel]
    groups = dict(zip(encoding.ids, encoding.groups, strict=False))
    return replace(
        encoding,
        ids=tuple(line.id for line in panel),
        centres=np.array([mean for mean, _ in scales]),
        scales=np.array([deviation for _, deviation in scales]),
        groups=tuple(groups.get(line.id, 0) for line in panel) if groups else (),
    )


def of_rivals(encoding: Encoding) -> Encoding:
    """Return the encoding by which rivals read the same rows: all that is known ahead, whatever the head."""
    return replace(
        encoding, head="direct", ahead=_rows_known("direct", encoding.horizon, len(encoding.future))
    )


def _rows_known(head: str, horizon: int, columns: int) -> tuple[int, ...]:
    """Return how many rows ahead columns known ahead are read."""
    if not columns:
        return ()
    stride = max(1, -(-horizon * columns // _FUTURE_INPUTS))
    # What is fed back moves on row by row: each reads the next one.
    return (1,) if head == "recursive" else tuple(range(1, horizon + 1, stride))


def _changes(lines: list[Encoded]) -> Array:
    z = np.concatenate([np.diff(line.z[line.before :]) for line in lines])
    p = np.concatenate([np.diff(line.p[line.before :], axis=0) for line in lines])
    found = np.concatenate([[_spread(z)], [_spread(p[:, k]) for k in range(p.shape[1])]])
    return np.where(found > 1e-9, found, 1.0)


def _target_scale(encoding: Encoding, lines: list[Encoded]) -> Array:
    """Return the root of the mean square of what is to be predicted, by horizon."""
    total, count = np.zeros(encoding.horizon), 0.0
    for line in lines:
        for y, seen in Targets(encoding, line).pieces():
            total += (y**2 * seen[:, None]).sum(axis=0)
            count += seen.sum()
    found = np.sqrt(total / max(count, 1.0))
    return np.where(found > 1e-9, found, 1.0)


def _spread(change: Array) -> float:
    return float(np.sqrt(np.mean(change**2))) if len(change) else 0.0
