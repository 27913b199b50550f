"""Training steps: forward, backward and SGD, beside PyTorch and JAX."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.agreement import (
    FUSED_TOLERANCE,
    TOLERANCE,
    differences,
    fused_difference,
    reference,
    worst,
)
from benchmarks.bars import FUSED_BITS, THREAD_BITS, agreement_key, share_key, training_key
from benchmarks.jobs import JOBS, Arrays, Job, Problem, make_problem
from benchmarks.probes import Bandwidth, Peak
from benchmarks.race import Race, race, watched_race
from benchmarks.results import Results, Row
from benchmarks.roofline import Machine, step_limit, weight_bytes
from benchmarks.timing import ratio
from benchmarks.workers import Handle, Missing, Worker

OURS, STEPS = "bptt", "bptt, step by step"
# On several threads, in place of each round: samples that are judged one by one.
SAMPLES_A_ROUND, SAMPLE_SECONDS = 3, 0.012


@dataclass
class Settings:
    """How long to look.

    Attributes
    ----------
    rounds : int
    budget : float
        Seconds of each competitor in a round.
    threads : int
    workers : dict of (engine, threads) to Worker
        Those that are there.
    deadline : float
        By `time.monotonic`: nothing begins after it.
    """

    rounds: int
    budget: float
    threads: int
    workers: dict[tuple[str, int], Worker]
    deadline: float = math.inf

    def has_time(self, what: str, results: Results) -> bool:
        """Return whether something may still begin; what may not is recorded as left out."""
        if time.monotonic() < self.deadline:
            return True
        results.left_out.append(f"{what} (no time left)")
        return False

    def peers(self, engine: str) -> list[tuple[str, Worker, int]]:
        """Return the competitors of one engine: a name, its worker and a number of threads.

        With two threads a peer runs with one and with two, and the better of them counts.
        """
        found = []
        for threads in range(1, self.threads + 1):
            worker = self.workers.get((engine, threads)) or self.workers.get((engine, self.threads))
            if worker is not None:
                title = worker.title if self.threads == 1 else f"{worker.title} on {threads}"
                found.append((title, worker, threads))
        return found


@dataclass
class Entrants:
    """The competitors of one row: those that agree with the reference may run.

    Attributes
    ----------
    row : Row
        Takes the differences, and a note on whoever is missing or disagrees.
    wanted : dict of str to ndarray
        The reference's results.
    rows : int, optional
        Sequences, where not the job's own number.
    """

    row: Row
    wanted: Arrays
    rows: int | None = None
    handles: dict[str, Handle] = field(default_factory=dict)

    def add(self, name: str, worker: Worker | None, kind: str, threads: int) -> None:
        """Prepare a competitor; one without a worker was left out as a whole and has been named."""
        if worker is None:
            return
        row, tolerance = self.row, TOLERANCE[self.row.dtype]
        try:
            handle = worker.prepare(kind, row.job, row.cell, threads, self.rows)
        except Missing as why:
            row.note += f"{name}: {why}. "
            return
        tensor, error = worst(differences(handle.found, self.wanted))
        row.worst_tensors[name] = tensor, error
        if error <= tolerance:
            self.handles[name] = handle
        else:
            row.note += f"{name} disagrees: {tensor} by {error:.1e} (at most {tolerance:.0e}), no times. "
            handle.drop()

    def race(self, settings: Settings, *, watched: bool = True) -> Race:
        """Time all, let the workers forget them, and return the race.

        Where there are several threads every sample is judged by the cores that the machine gives, if it is `watched`.
        """
        if watched and settings.threads > 1:
            wanted = SAMPLES_A_ROUND * settings.rounds
            found = watched_race(self.handles, wanted, SAMPLE_SECONDS, settings.threads)
        else:
            found = race(self.handles, settings.rounds, settings.budget)
        for handle in self.handles.values():
            handle.drop()
        self.row.race = found
        self.row.note += found.remark
        return found


def train_job(
    job: Job, cell: str, dtype: str, settings: Settings, peak: Peak, bandwidth: Bandwidth, results: Results
) -> Row:
    """Check, time and record one job."""
    row = Row("training", job.name, cell, dtype, settings.threads)
    results.rows.append(row)
    problem = make_problem(job, cell, dtype)
    entrants = Entrants(row, reference(problem))
    ours = settings.workers[("bptt", settings.threads)]
    entrants.add(OURS, ours, "training", settings.threads)
    if not _agrees(problem, entrants, results):
        return row
    entrants.add(STEPS, ours, "steps", settings.threads)
    for name, worker, threads in settings.peers("bptt")[:-1]:
        entrants.add(name, worker, "training", threads)
        _compare_bits(entrants, name, results)
    for engine in ("pytorch", "jax"):
        for name, worker, threads in settings.peers(engine):
            entrants.add(name, worker, "training", threads)
    before = peak.measure()
    entrants.race(settings)
    flops = max(before, peak.measure())
    results.probes[f"peak, {dtype}, GFLOP/s"] = max(
        flops / 1e9, results.probes.get(f"peak, {dtype}, GFLOP/s", 0)
    )
    itemsize = np.dtype(dtype).itemsize
    machine = Machine(flops, bandwidth.measure(weight_bytes(job, cell, itemsize)))
    row.limit = step_limit(job, cell, itemsize, machine)
    _record(row, settings, results)
    return row


def _agrees(problem: Problem, entrants: Entrants, results: Results) -> bool:
    """Return whether bptt computes what the reference does, in one call and step by step; say where it does not."""
    row = entrants.row
    key = agreement_key(row.dtype)
    tensor, error = row.worst_tensors.get(OURS, ("nothing", float("inf")))
    if error > results.measured.get(key, -1.0):
        results.measured[key] = error
        results.where[key] = f"{row.job} {row.cell}, {tensor}"
    if OURS not in entrants.handles:
        return False
    apart = fused_difference(problem)
    results.measured[FUSED_BITS] = results.measured.get(FUSED_BITS, 0) + (apart > 0)
    if apart > 0:
        row.note += f"fused steps differ from single ones by {apart:.1e} of the way. "
    if apart <= FUSED_TOLERANCE:
        return True
    row.note += "No times. "
    entrants.handles.pop(OURS).drop()
    return False


def _compare_bits(entrants: Entrants, name: str, results: Results) -> None:
    if name not in entrants.handles:
        return
    one, all_ = entrants.handles[name].found, entrants.handles[OURS].found
    differ = [tensor for tensor in one if not np.array_equal(one[tensor], all_[tensor])]
    results.measured[THREAD_BITS] = results.measured.get(THREAD_BITS, 0) + bool(differ)
    if differ:
        entrants.row.note += f"bits of {', '.join(differ)} depend on the threads. "


def _record(row: Row, settings: Settings, results: Results) -> None:
    assert row.race is not None
    keys = {
        engine: training_key(row.dtype, settings.threads, row.job, row.cell, engine)
        for engine in ("pytorch", "jax")
    }
    if not row.race.is_valid:
        results.invalid += keys.values()
        return
    if row.race.disturbed:
        results.by_processor_time += [*keys.values(), share_key(row.dtype, row.job, row.cell)]
    samples = row.race.samples
    for engine, key in keys.items():
        names = [name for name, _, _ in settings.peers(engine) if name in samples]
        if names:
            results.measured[key] = max(0.0, min(ratio(samples[name], samples[OURS]) for name in names))
    if settings.threads == 1 and row.limit is not None:
        results.measured[share_key(row.dtype, row.job, row.cell)] = row.limit / samples[OURS].best
    for name, found in samples.items():
        if not found.is_within(settings.threads):
            row.note += f"{name} took {sorted(found.cores)[len(found.cores) // 2]:.1f} cores. "


def run_training(
    jobs: list[tuple[str, str]], dtype: str, settings: Settings, results: Results, show: Callable[[Row], None]
) -> None:
    """Run jobs, (name, cell) each, and show every row as it comes."""
    peak, bandwidth = Peak(dtype), Bandwidth()
    for name, cell in jobs:
        if settings.has_time(f"training {name} {cell} {dtype}", results):
            show(train_job(JOBS[name], cell, dtype, settings, peak, bandwidth, results))
