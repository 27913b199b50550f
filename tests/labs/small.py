"""A small, real table for the labs: the first days of the embedded weather, written as a user's CSV."""

from __future__ import annotations

from pathlib import Path

from bptt.data import load_weather

DAYS = 40


def write_small_table(path: Path, days: int = DAYS, *, columns: tuple[str, ...] | None = None) -> Path:
    """Write the first `days` of the New York weather and return the path."""
    data = load_weather("nyc")
    names = columns or data.columns
    chosen = [data.columns.index(name) for name in names]
    lines = [",".join(names)]
    lines += [",".join(repr(float(v)) for v in row[chosen]) for row in data.values[: 24 * days]]
    path.write_text("\n".join(lines) + "\n")
    return path
