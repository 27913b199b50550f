"""The picture for the README: how many times faster than each peer, and the share of the roofline."""

from __future__ import annotations

from pathlib import Path

from benchmarks.engines import ENGINES
from benchmarks.results import Results
from benchmarks.timing import ratio
from benchmarks.training import OURS
from bptt.plots.save import save_png
from bptt.plots.style import dress, finish, look_named, new_figure

PEERS = ("pytorch", "jax")


def draw(results: Results, path: Path, dtype: str = "float32", theme: str = "light") -> Path | None:
    """Write bars for every training job of a dtype; None where no peer was timed."""
    rows = [
        row
        for row in results.rows
        if row.section == "training" and row.dtype == dtype and row.race is not None and row.race.is_valid
    ]
    ratios = {engine: [_ratio(row, ENGINES[engine][1]) for row in rows] for engine in PEERS}
    if not any(value for values in ratios.values() for value in values):
        return None
    look = look_named(theme, "wide")
    figure = new_figure(look, height=1.6 + 0.42 * len(rows))
    ax = figure.add_subplot()
    dress(ax, look)
    ax.grid(False, axis="y")
    ax.grid(True, axis="x", color=look.theme.grid, linewidth=0.8)
    ax.set_xscale("log")
    for k, engine in enumerate(PEERS):
        for place, value in enumerate(ratios[engine]):
            if value is None:
                continue
            y = place + (k - 0.5) * 0.36
            ax.barh(
                y, value - 1, left=1, height=0.32, color=look.colour(k),
                label=f"times faster than {ENGINES[engine][1]}" if place == _first(ratios[engine]) else None,
            )  # fmt: skip
            ax.annotate(
                f"{value:.1f}" if value < 10 else f"{value:.0f}",
                (max(value, 1), y), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=look.size.font - 1.5, color=look.theme.ink,
            )  # fmt: skip
    names = [
        f"{row.job}, {row.cell.upper() if row.cell != 'elman' else 'Elman'}{_share(row)}" for row in rows
    ]
    ax.set_yticks(range(len(rows)), names)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.axvline(1, color=look.theme.ink, linewidth=1.0)
    highest = max(value for values in ratios.values() for value in values if value)
    lowest = min(value for values in ratios.values() for value in values if value)
    ax.set_xlim(min(0.9, 0.9 * lowest), 1.5 * highest)
    ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100, 200) if 0.9 * min(1, lowest) <= t <= 1.5 * highest]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    threads = "one thread" if rows[0].threads == 1 else f"{rows[0].threads} threads"
    finish(
        ax, look, title=f"One training step, {dtype}, {threads}",
        x_label="time of the peer / time of bptt; in brackets: bptt's share of the roofline", y_label="",
    )  # fmt: skip
    return save_png(figure, path)


def _ratio(row, title: str) -> float | None:
    samples = row.race.samples
    found = [ratio(one, samples[OURS]) for name, one in samples.items() if name.startswith(title)]
    return min(found, default=None)


def _first(values) -> int:
    return next((k for k, value in enumerate(values) if value is not None), -1)


def _share(row) -> str:
    return (
        f" ({100 * row.limit / row.race.samples[OURS].best:.0f} %)" if row.limit and row.threads == 1 else ""
    )
