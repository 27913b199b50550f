"""Inference, streaming, and a cell of the user's own: the same race on other tasks."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.agreement import make_net, reference
from benchmarks.bars import inference_key
from benchmarks.engines import ENGINES
from benchmarks.jobs import INFERENCE_JOBS, INFERENCE_ROWS, JOBS, OWN, STREAM, Arrays, Problem, make_problem
from benchmarks.race import Race
from benchmarks.results import Results, Row
from benchmarks.timing import ratio
from benchmarks.training import OURS, Entrants, Settings

Show = Callable[[Row], None]
LOOP, BUILT_IN, OWN_CELL, DERIVED = "PyTorch loop", "built in", "own cell", "own cell without backward"


def predictions(problem: Problem) -> Arrays:
    """Return what the NumPy engine predicts in float64."""
    exact = {name: value.astype("float64") for name, value in problem.parameters.items()}
    x = problem.x.astype("float64")
    return {"y_hat": make_net(Problem(problem.job, problem.cell, exact, x, problem.y), "numpy").predict(x)}


def run_inference(
    settings: Settings, results: Results, show: Show, jobs: tuple[str, ...] = INFERENCE_JOBS
) -> None:
    """Time predictions of `INFERENCE_ROWS` windows in float32 against ONNX Runtime and PyTorch."""
    ours = settings.workers[("bptt", settings.threads)]
    for name in jobs:
        for cell in JOBS[name].cells:
            if not settings.has_time(f"inference {name} {cell}", results):
                continue
            row = Row("inference", name, cell, "float32", settings.threads)
            results.rows.append(row)
            wanted = predictions(make_problem(JOBS[name], cell, "float32", INFERENCE_ROWS))
            entrants = Entrants(row, wanted, INFERENCE_ROWS)
            entrants.add(OURS, ours, "inference", settings.threads)
            for engine in ("onnxruntime", "pytorch"):
                for title, worker, threads in settings.peers(engine):
                    entrants.add(title, worker, "inference", threads)
            if OURS in entrants.handles:
                found = entrants.race(settings)
                names = [title for title, _, _ in settings.peers("onnxruntime") if title in found.samples]
                key = inference_key(settings.threads, name, cell)
                if found.disturbed:
                    results.by_processor_time.append(key)
                if not found.is_valid:
                    results.invalid.append(key)
                elif names:
                    ours_took = found.samples[OURS]
                    results.measured[key] = min(ratio(found.samples[title], ours_took) for title in names)
            show(row)


def run_streaming(settings: Settings, results: Results, show: Show) -> None:
    """Time single steps from a resident state, hidden 32, float32."""
    for cell in STREAM.cells:
        if not settings.has_time(f"streaming {cell}", results):
            continue
        row = Row("streaming", STREAM.name, cell, "float32", 1)
        results.rows.append(row)
        # Of one sequence: every step's prediction.
        entrants = Entrants(row, {"y_hat": predictions(make_problem(STREAM, cell, "float32"))["y_hat"][0]})
        entrants.add(OURS, settings.workers[("bptt", settings.threads)], "stream", 1)
        for engine in ("onnxruntime", "pytorch"):
            entrants.add(ENGINES[engine][1], settings.workers.get((engine, settings.threads)), "stream", 1)
        if entrants.handles:
            found = entrants.race(settings, watched=False)
            if OURS in found.samples:
                key = f"streaming step, hidden 32: {cell}"
                results.measured[key] = 1e6 * found.samples[OURS].median
                if not found.is_valid:
                    row.note += f"{found.why_invalid}. "
                    results.invalid.append(key)
        show(row)


def run_own(settings: Settings, results: Results, show: Show, jobs: tuple[str, ...] = tuple(OWN)) -> None:
    """Time a cell from a user's file against the built-in one, and against the same cell as a PyTorch loop."""
    threads = settings.threads
    ours = settings.workers[("bptt", threads)]
    for name in jobs:
        for cell in OWN[name].cells:
            if not settings.has_time(f"own cell {name} {cell}", results):
                continue
            row = Row("own cell", name, cell, "float32", threads)
            results.rows.append(row)
            entrants = Entrants(row, reference(make_problem(OWN[name], cell, "float32")))
            for title, kind in ((BUILT_IN, "training"), (OWN_CELL, "own"), (DERIVED, "derived")):
                entrants.add(title, ours, kind, threads)
            entrants.add(LOOP, settings.workers.get(("pytorch", threads)), "loop", threads)
            if entrants.handles:
                _record_own(row, entrants.race(settings, watched=False), results)
            show(row)


def _record_own(row: Row, found: Race, results: Results) -> None:
    """Keep the worst ratio to the built-in cell, and that to the loop of one sequence: the user's own experiments."""
    samples, keys = found.samples, []
    if {BUILT_IN, OWN_CELL} <= set(samples):
        keys.append(f"own cell's time over the built-in one's: {row.cell}")
        results.worst(keys[-1], ratio(samples[OWN_CELL], samples[BUILT_IN]))
    if {LOOP, OWN_CELL} <= set(samples) and OWN[row.job].B == 1:
        keys.append(f"own cell against a PyTorch loop, hidden 64: {row.cell}")
        results.measured[keys[-1]] = ratio(samples[LOOP], samples[OWN_CELL])
    if found.disturbed:
        results.by_processor_time += keys
