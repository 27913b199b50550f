"""Small panels for the tests: odd sizes, two series of unequal length, past and future columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bptt.forecast.panel import Line, Panel
from bptt.forecast.recipe import Recipe

HOUR = np.timedelta64(3600, "s")
START = np.datetime64("2021-03-05T07:00:00", "s")
# As small as a recipe can be and still pass through every part.
TINY = Recipe(
    hidden=5, ensemble=2, length=23, warmup=5, batch=7, updates=31, shorter=(0.5,), window=9, past_window=4, period=6,
    blocks=2, trial_members=2, anchor="last",
)  # fmt: skip
# For what is to be seen of networks, where the wave is too simple for them to be needed.
NETWORK = replace(TINY, step_back=False)


def make_line(
    rng: np.random.Generator, rows: int, *, name: str = "", past: int = 2, future: int = 0, ahead: int = 0
) -> Line:
    """Return a wave of six rows with noise; each future column is added to the target, each past one follows it."""
    t = np.arange(rows + ahead)
    known = rng.standard_normal((rows + ahead, future))
    y = 3.0 + np.sin(2 * np.pi * t / 6) + 0.3 * rng.standard_normal(rows + ahead) + known.sum(axis=1)
    columns = np.zeros((rows + ahead, past))
    for k in range(past):
        columns[:, k] = np.roll(y, k + 1) + 0.2 * rng.standard_normal(rows + ahead)
    times = START + t * HOUR
    return Line(name, times[:rows], times, y[:rows], columns[:rows], known, np.zeros(0))


def make_panel(rng: np.random.Generator, *rows: int, past: int = 2, future: int = 0, ahead: int = 0) -> Panel:
    """Return a panel of lines with these numbers of rows; a single one has no name."""
    ids = ("",) if len(rows) == 1 else tuple(f"line {k}" for k in range(len(rows)))
    lines = tuple(
        make_line(rng, count, name=name, past=past, future=future, ahead=ahead)
        for name, count in zip(ids, rows, strict=True)
    )
    return Panel(
        lines,
        "y",
        tuple(f"past {k}" for k in range(past)),
        tuple(f"future {k}" for k in range(future)),
        (),
        HOUR,
    )
