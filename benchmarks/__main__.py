"""``python -m benchmarks``: see docs/benchmarks.md."""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import lab_run, memory, startup
from benchmarks.bars import all_bars, judge
from benchmarks.core_probe import CoreProbe
from benchmarks.engines import ENGINES
from benchmarks.jobs import JOBS
from benchmarks.machine import describe
from benchmarks.other_sections import run_inference, run_own, run_streaming
from benchmarks.picture import draw
from benchmarks.probes import Bandwidth, Peak
from benchmarks.race import LEAST_CORES
from benchmarks.report import opening_text, probes_text, row_text, verdicts_text
from benchmarks.results import Results, Row
from benchmarks.training import Settings, run_training
from benchmarks.workers import Missing, Worker

SECTIONS = ("training", "inference", "streaming", "own", "lab", "startup", "memory")
# What --quick keeps: two minutes in all.
QUICK_SECTIONS = ("training", "inference", "streaming", "own", "lab", "memory")
QUICK_JOBS = ("weather", "sine", "noisy", "digits", "medium")
QUICK_SECONDS = 90.0  # after which nothing new begins
QUICK_ROUNDS, ROUNDS = 4, 11
QUICK_BUDGET, BUDGET = 0.04, 0.1


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast bptt trains.")
    parser.add_argument("jobs", nargs="*", metavar="job", help=f"of {', '.join(JOBS)}; all unless given")
    parser.add_argument("--quick", action="store_true", help="at most two minutes; says what it leaves out")
    parser.add_argument(
        "--threads", type=int, choices=(1, 2), default=1, help="1, or 2 against the peers' better number"
    )
    parser.add_argument("--dtype", choices=("float32", "float64", "both"), default="float32")
    parser.add_argument("--cells", nargs="+", choices=("elman", "lstm", "gru"), help="all unless given")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, help="all unless given")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS} unless given")
    parser.add_argument("--without", nargs="+", default=[], choices=[e for e in ENGINES if e != "bptt"])
    parser.add_argument(
        "--out", type=Path, default=Path("bptt-bench"), help="folder of result.json and speed.png"
    )
    parser.add_argument(
        "--urgent",
        action="store_true",
        help="workers come before all other processes (Linux, root): for a machine that others are busy on",
    )
    found = parser.parse_args(arguments)
    unknown = [job for job in found.jobs if job not in JOBS]
    if unknown:
        parser.error(f"job must be one of {', '.join(JOBS)}. Got {unknown[0]}")
    if found.threads < 1:
        parser.error(f"--threads must be at least 1. Got {found.threads}")
    if found.urgent and not may_hurry():
        parser.error("--urgent needs Linux and the right to set a real-time priority. Got neither or one")
    return found


def may_hurry() -> bool:
    """Return whether `worker.hurry` will do: a process of its own tries."""
    trial = "import benchmarks.worker as w; w.hurry()"
    return subprocess.run([sys.executable, "-c", trial], capture_output=True, check=False).returncode == 0


def start_workers(
    threads: int, dtype: str, without: list[str], results: Results, *, urgent: bool = False
) -> dict[tuple[str, int], Worker]:
    """Start every engine that is there; where a pool is sized at the start, once for each number of threads."""
    found = {}
    for engine in ENGINES:
        if engine in without:
            results.missing.setdefault(engine, "as asked")
            continue
        sizes = range(1, threads + 1) if engine in ("bptt", "jax") else (threads,)
        for size in sizes:
            try:
                found[(engine, size)] = Worker(engine, size, dtype, urgent=urgent)
                results.versions[engine] = found[(engine, size)].version
            except Missing as why:
                results.missing[engine] = str(why)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run, print, write; 1 where a job of bptt's own disagrees with the reference."""
    options = parse(arguments)
    began = time.perf_counter()
    deadline = time.monotonic() + QUICK_SECONDS if options.quick else math.inf
    results = Results(environment=describe())
    sections = options.sections or (QUICK_SECTIONS if options.quick else SECTIONS)
    jobs = options.jobs or (QUICK_JOBS if options.quick else tuple(JOBS))
    dtypes = ("float32", "float64") if options.dtype == "both" else (options.dtype,)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    budget = QUICK_BUDGET if options.quick else BUDGET
    left_out(options, sections, jobs, results)

    def show(row: Row) -> None:
        print(row_text(row), flush=True)

    opened = False
    for dtype in dtypes:
        workers = start_workers(options.threads, dtype, options.without, results, urgent=options.urgent)
        if ("bptt", options.threads) not in workers:
            print(f"bptt's compiled engine cannot run: {results.missing['bptt']}", file=sys.stderr)
            return 2
        if not opened:
            opened = True
            print(opening_text(results))
            measure_machine(options.threads, results)
            print(probes_text(results), flush=True)
        settings = Settings(rounds, budget, options.threads, workers, deadline)
        try:
            if "training" in sections:
                pairs = [
                    (job, cell)
                    for job in jobs
                    for cell in JOBS[job].cells
                    if options.cells is None or cell in options.cells
                ]
                run_training(pairs, dtype, settings, results, show)
            if dtype == "float32":
                others(sections, jobs, options, settings, results, show)
        finally:
            for worker in workers.values():
                worker.close()
    single_figures(sections, results)
    finish(options, results, time.perf_counter() - began)
    return 0 if all(row.race is not None for row in results.rows if row.section == "training") else 1


def left_out(options: argparse.Namespace, sections: object, jobs: object, results: Results) -> None:
    """Record what this run does not look at."""
    results.left_out += [f"section {name}" for name in SECTIONS if name not in sections]
    if options.cells is not None:
        results.left_out += [f"cell {cell}" for cell in ("elman", "lstm", "gru") if cell not in options.cells]
    results.left_out += [f"job {name}" for name in JOBS if name not in jobs]
    if options.threads == 1:
        results.left_out.append("two threads (--threads 2)")
    if options.dtype != "both":
        results.left_out.append("the other dtype (--dtype both)")
    if options.quick:
        results.left_out.append(f"rounds: {QUICK_ROUNDS} of {ROUNDS}")


def measure_machine(threads: int, results: Results) -> None:
    """Record the peaks of one core, the cores at once, and how fast one core reads."""
    bandwidth = Bandwidth()
    for dtype in ("float32", "float64"):
        results.probes[f"peak, {dtype}, GFLOP/s"] = Peak(dtype).measure() / 1e9
    probe = CoreProbe(max(2, threads))
    cores = [probe.cores() for _ in range(25)]
    results.probes[f"cores given to {max(2, threads)} threads, median of 25"] = sorted(cores)[12]
    for size, name in ((16 << 10, "16 KB"), (512 << 10, "512 KB"), (8 << 20, "8 MB"), (256 << 20, "256 MB")):
        results.probes[f"reading {name}, GB/s"] = bandwidth.measure(size) / 1e9


def others(sections, jobs, options, settings: Settings, results: Results, show) -> None:
    """Run the sections that race engines on something else than training."""
    if "streaming" in sections:
        run_streaming(settings, results, show)
    if "own" in sections:
        run_own(settings, results, show, ("own-1",) if options.quick else ("own-1", "own-32"))
    if "inference" in sections:
        chosen = tuple(name for name in ("weather", "sine", "medium") if name in jobs)
        run_inference(settings, results, show, chosen)


def single_figures(sections, results: Results) -> None:
    """Measure what is one number: the lab's run, start-up, memory."""
    if "lab" in sections:
        lab, key = lab_run.measure(), "lab run, 500 steps after warm-up"
        results.measured[key] = 1e3 * lab.best
        results.notes.append(f"lab run: best {1e3 * lab.best:.1f} ms, median {1e3 * lab.median:.1f} ms")
        if not lab.is_quiet:
            results.by_processor_time.append(key)
    if "startup" in sections:
        found = startup.measure()
        results.measured["cold first `bptt lab weather`, beyond warm"] = found["cold"] - found["warm"]
        results.measured["second `bptt lab weather`, beyond warm"] = found["second"] - found["warm"]
        results.notes.append(
            "bptt lab weather: cold {cold:.2f} s, second {second:.2f} s, warm {warm:.2f} s".format(**found)
        )
    if "memory" in sections:
        found = memory.measure()
        results.measured["memory of 1,000,000 rows x 8, window 168, beyond the data"] = found[
            "beyond the data"
        ]
        results.notes.append(
            f"memory: data {found['data']:.0f} MB, growth {found['growth']:.0f} MB above the warmed-up process"
        )


def finish(options: argparse.Namespace, results: Results, seconds: float) -> None:
    """Print the notes and the table of bars; write JSON and picture."""
    results.environment["seconds"] = round(seconds, 1)
    verdicts = [judge(bar, results.measured, results.invalid) for bar in all_bars()]
    print()
    for note in results.notes:
        print(note)
    for key, place in results.where.items():
        print(f"{key}: largest at {place}")
    if options.threads > 1:
        print(f"samples count with {LEAST_CORES} cores before and after, and none taken away meanwhile")
    print(verdicts_text(verdicts, results.by_processor_time))
    print("left out: " + "; ".join(results.left_out))
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "result.json"
    content = {**results.as_dict(), "bars": [{**vars(v), "bar": vars(v.bar)} for v in verdicts]}
    target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    picture = draw(results, options.out / "speed.png")
    print(f"{seconds:.0f} s; wrote {target}" + (f" and {picture}" if picture else ""))


if __name__ == "__main__":
    sys.exit(main())
