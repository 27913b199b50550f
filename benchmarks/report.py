"""The run as text: a line for each job as it comes, and the table of bars at the end."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from benchmarks.bars import Verdict
from benchmarks.engines import ENGINES
from benchmarks.results import Results, Row
from benchmarks.timing import Samples, median_ratio, ratio


def duration(seconds: float) -> str:
    """Return a time in microseconds, with as many digits as it deserves."""
    us = seconds * 1e6
    return f"{us:.2f}" if us < 10 else f"{us:.1f}" if us < 1000 else f"{us:,.0f}"


def row_text(row: Row) -> str:
    """Return the lines of one job: a heading, then each competitor."""
    title = f"{row.section}: {row.job} {row.cell}, {row.dtype}"
    lines = [title + (f", {row.threads} threads" if row.threads > 1 else "")]
    if row.race is not None and row.race.is_valid:
        names = list(row.race.samples)
        ours = row.race.samples[names[0]]
        lines += [_competitor(name, row, ours) for name in names]
    if row.note:
        lines.append(f"  note: {row.note.strip()}")
    return "\n".join(lines)


def _competitor(name: str, row: Row, ours: Samples) -> str:
    assert row.race is not None
    samples = row.race.samples[name]
    text = f"  {name:24s} {duration(samples.best):>9s} us best {duration(samples.median):>9s} median"
    if samples is ours:
        text += f" {100 * row.limit / samples.best:5.0f} % of the roofline" if row.limit else ""
    else:
        text += f"  {ratio(samples, ours):7.2f}x (median {median_ratio(samples, ours):.2f}x)"
    counted = f"  {len(samples.seconds)} of {samples.tried} samples count" if samples.tried else ""
    return f"{text}{counted}  differs {row.worst_tensors[name][1]:.0e}"


def probes_text(results: Results) -> str:
    """Return the machine's figures."""
    found = results.probes
    lines = [f"  {name}: {value:.4g}" for name, value in found.items() if isinstance(value, float | int)]
    return "\n".join(["machine, measured in this run:", *lines])


def number(value: float | None, unit: str) -> str:
    """Return a measurement or a limit with its unit."""
    if value is None:
        return "-"
    if unit == "%":
        return f"{100 * value:.0f} %"
    if not unit:
        return f"{value:.1e}" if 0 < abs(value) < 0.01 else f"{value:g}"
    return f"{value:.3g} {unit}"


def verdicts_text(verdicts: Iterable[Verdict], by_processor_time: Collection[str] = ()) -> str:
    """Return the table: what was asked, what was measured, met or not; what was not measured is only counted."""
    kept = list(verdicts)
    lines = [f"{'what':72s} {'measured':>10s} {'bar':>12s}  "]
    for verdict in kept:
        bar = verdict.bar
        if verdict.state == "not measured":
            continue
        limit = (">= " if bar.at_least else "<= ") + number(verdict.limit, bar.unit)
        aim = f" (aim {number(bar.aim, bar.unit)})" if bar.aim is not None else ""
        aside = ", by processor time" if bar.key in by_processor_time else ""
        figures = f"{number(verdict.measured, bar.unit):>10s} {limit:>12s}"
        lines.append(f"{bar.key:72s} {figures}  {verdict.state}{aim}{aside}")
    states = [verdict.state for verdict in kept]
    counts = ", ".join(f"{states.count(s)} {s}" for s in ("met", "NOT met", "invalid", "not measured"))
    return "\n".join([*lines, f"bars: {counts}"])


def opening_text(results: Results) -> str:
    """Return what runs, and what is missing."""
    lines = [", ".join(f"{name} {value}" for name, value in results.environment.items())]
    lines += [f"{ENGINES[engine][1]} {version}" for engine, version in results.versions.items()]
    lines += [f"{ENGINES[engine][1]}: left out, {why}" for engine, why in results.missing.items()]
    return "\n".join(lines)
