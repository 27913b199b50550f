"""The doctor's trial: what was wrong with each run, and what it said.

    python -m benchmarks.doctor --first 1000 --healthy 200 --ill 25

Thresholds were chosen on seeds 0 to 99; what is reported comes from 1000 on. A seed decides everything about a run:
task, cell, sizes, optimiser, data. Draws whose illness did not take, or that were to be healthy and did not learn, are
counted and left out, by measures that are not the doctor's (benchmarks/doctor/sick.py).
"""

from __future__ import annotations

import argparse
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

if __name__ == "__main__":  # and not for the tests that import it: they would all run on one thread
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BPTT_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

import numpy as np

from benchmarks.doctor.runs import Run
from benchmarks.doctor.sick import SICK, Draw, healthy
from bptt.diagnostics.doctor import NAMES, Diagnosis, diagnose

HEALTHY = "healthy"


@dataclass
class Row:
    """The runs of one kind.

    Attributes
    ----------
    drawn, runs : int
        Draws, and those that count.
    named : dict of disease to int
        Runs in which it was named.
    first : int
        Runs in which the disease that was given was named first.
    nothing : int
        Runs in which nothing was found.
    slowest : float
        Seconds of the slowest diagnosis.
    """

    drawn: int = 0
    runs: int = 0
    named: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    first: int = 0
    nothing: int = 0
    slowest: float = 0.0


def draws(kind: str, first: int, most: int) -> Iterator[Run | None]:
    """Yield runs of a kind from consecutive seeds."""
    draw: Draw = healthy if kind == HEALTHY else SICK[kind]
    for seed in range(first, first + most):
        with np.errstate(all="ignore"):
            yield draw(np.random.default_rng([seed, zlib.crc32(kind.encode())]))


def try_kind(kind: str, *, first: int, runs: int, show: bool = False) -> Row:
    """Return what the doctor said of so many runs of a kind; at most six draws are made for each."""
    row = Row()
    for run in draws(kind, first, 6 * runs):
        row.drawn += 1
        if run is None:
            continue
        row.runs += 1
        began = time.perf_counter()
        found = diagnose(run.history, run.net, run.source)
        row.slowest = max(row.slowest, time.perf_counter() - began)
        _count(row, kind, found)
        if show and (
            (kind == HEALTHY) == bool(found.findings) or (kind != HEALTHY and kind not in found.diseases)
        ):
            plan = run.plan
            print(f"  seed {first + row.drawn - 1}: {plan.task.name}, {plan.cell}, {plan.optimizer}: {found}")
        if row.runs == runs:
            break
    return row


def _count(row: Row, kind: str, found: Diagnosis) -> None:
    for disease in found.diseases:
        row.named[disease] += 1
    row.first += found.diseases[:1] == (kind,)
    row.nothing += not found.findings


def table(rows: dict[str, Row]) -> str:
    """Return the confusion matrix in Markdown."""
    lines = [
        "| given | drawn | runs | named | named first | "
        + " | ".join(str(k + 1) for k in range(len(NAMES)))
        + " | none |",
        "|" + " --- |" * (len(NAMES) + 6),
    ]
    for kind, row in rows.items():
        number = f"{NAMES.index(kind) + 1} " if kind in NAMES else ""
        share = f"{100 * row.named[kind] / max(1, row.runs):.0f} %" if kind in NAMES else "-"
        first = f"{100 * row.first / max(1, row.runs):.0f} %" if kind in NAMES else "-"
        cells = [str(row.named[name] or "") for name in NAMES]
        lines.append(
            f"| {number}{kind} | {row.drawn} | {row.runs} | {share} | {first} | "
            + " | ".join(cells)
            + f" | {row.nothing or ''} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the trial and print the matrix."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doctor", description=__doc__)
    parser.add_argument("--first", type=int, default=1000, help="first seed")
    parser.add_argument("--healthy", type=int, default=200, help="healthy runs")
    parser.add_argument("--ill", type=int, default=25, help="runs of each disease")
    parser.add_argument("--only", nargs="*", default=None, help="kinds, by default all")
    parser.add_argument("--show", action="store_true", help="print what was said where it was wrong")
    given = parser.parse_args()
    rows = {}
    for kind in (HEALTHY, *NAMES):
        if given.only is None or kind in given.only:
            count = given.healthy if kind == HEALTHY else given.ill
            rows[kind] = try_kind(kind, first=given.first, runs=count, show=given.show)
    print(table(rows))
    print(f"slowest diagnosis: {max(row.slowest for row in rows.values()):.2f} s")
    if HEALTHY in rows:
        alarms = rows[HEALTHY].runs - rows[HEALTHY].nothing
        print(f"false alarms: {alarms} of {rows[HEALTHY].runs}")


if __name__ == "__main__":
    main()
