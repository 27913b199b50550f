"""The sine lab's answers, in sentences that hold for the numbers at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bptt.labs.rounding import two_digits
from bptt.labs.sine.data import LENGTH
from bptt.labs.sine.lab import BAR, CLIPS, STARTS, Setting, SineResult, Trained

# From the last state to the first, the gradient is said to explode or to vanish beyond this factor.
EXPLODED = 10.0
# Medians this far apart count as a difference; seeds alone make less.
CLEARLY = 1.25


def verdicts(result: SineResult) -> list[str]:
    """Return the answers to the assignment's questions."""
    return [
        _accuracy(result),
        _explode(result),
        _in_training(result),
        *(_clipping(result, clip) for clip in CLIPS if clip != "off"),
        _activation(result),
        _linear(result),
        _free(result),
    ]


def _accuracy(result: SineResult) -> str:
    errors, base = result.grid[result.best].rmse, result.baselines
    verdict = "within" if errors.max() <= BAR else "above"
    return (
        f"How accurate is it? Best setting: {result.best.title}. Test RMSE {np.median(errors):.2g} (median), "
        f"{errors.max():.2g} at its worst seed, {verdict} the bar of {BAR:g}. The last value again has "
        f"{base.persistence:.2g}, always 0 has {base.zero:.2g}."
    )


def _explode(result: SineResult) -> str:
    """Compare the gradient at the first state with that at the last, before training."""
    told = []
    for start in STARTS:
        flow = result.flows[start]
        factor = flow.dh[0] / flow.dh[-1]
        word = "explodes" if factor > EXPLODED else "vanishes" if factor < 1 / EXPLODED else "keeps its size"
        told.append(
            f"{start} start (radius {flow.radius:.1f}) it {word}: {two_digits(factor)} times as large at the first "
            f"state as at the last, {factor ** (1 / (LENGTH - 1)):.2g} a step"
        )
    return (
        f"Do gradients explode? Before training, that depends on the start. At the {'; at the '.join(told)}."
    )


def _in_training(result: SineResult) -> str:
    bare = [trained for setting, trained in result.grid.items() if setting.clip == "off"]
    # An explosion that training itself brings: from a start whose gradients are tame.
    tame = [trained for trained in bare if trained.setting.start == "small"]
    runs = sum(len(trained.rmse) for trained in bare)
    lost = sum(trained.failures for trained in bare)
    kinds = sorted({f"{t.setting.batch} with {t.setting.optimizer}" for t in bare if t.failures})
    clipped = sum(trained.failures for setting, trained in result.grid.items() if setting.clip != "off")
    worst = max(tame, key=lambda trained: float(np.fmax.reduce(trained.norms, axis=None)))
    where = f", all of them {' or '.join(kinds)}" if kinds else ""
    return (
        f"During training, {lost} of {runs} runs without clipping left the finite numbers{where}; with clipping "
        f"{clipped or 'none'} did. From the small start the largest norm met was "
        f"{two_digits(float(np.fmax.reduce(worst.norms, axis=None)))} ({worst.setting.batch}, "
        f"{worst.setting.optimizer}, {worst.setting.activation} output)."
    )


def _compare(
    result: SineResult, other: Callable[[Setting], Setting | None]
) -> dict[str, tuple[int, int, int, list[Trained]]]:
    """Count by start where the other setting is clearly better, clearly worse, or neither."""
    found = {}
    for start in STARTS:
        better = worse = same = 0
        rescued = []
        for setting, trained in result.grid.items():
            changed = other(setting) if setting.start == start else None
            if changed is None:
                continue
            here, there = float(np.median(trained.rmse)), float(np.median(result.grid[changed].rmse))
            if there * CLEARLY < here:
                better += 1
                rescued.append(result.grid[changed])
            elif there > CLEARLY * here:
                worse += 1
            else:
                same += 1
        found[start] = (better, worse, same, rescued)
    return found


def _counted(counts: dict[str, tuple[int, int, int, list[Trained]]]) -> str:
    return "; ".join(
        f"{start} start: better in {better}, worse in {worse}, no clear difference in {same} of {better + worse + same}"
        for start, (better, worse, same, _) in counts.items()
    )


def _clipping(result: SineResult, clip: str) -> str:
    counts = _compare(result, lambda s: replace(s, clip=clip) if s.clip == "off" else None)
    rescued = [trained for *_, kept in counts.values() for trained in kept]
    text = (
        f"Does clipping by {clip} help? {_counted(counts)} (median test RMSE, clearly is {CLEARLY:g} times)."
    )
    if not rescued:
        return text
    chosen = min(rescued, key=lambda trained: float(np.median(trained.rmse)))
    bare = result.grid[replace(chosen.setting, clip="off")]
    lost = f", {bare.failures} of {len(bare.rmse)} runs diverged" if bare.failures else ""
    where = ", ".join((f"{chosen.setting.start} start", chosen.setting.batch, chosen.setting.optimizer))
    return (
        f"{text} The best of those it helps: {where}, {chosen.setting.activation} output, {np.median(chosen.rmse):.2g} "
        f"instead of {np.median(bare.rmse):.2g}{lost}."
    )


def _activation(result: SineResult) -> str:
    counts = _compare(result, lambda s: replace(s, activation="tanh") if s.activation == "identity" else None)
    ratios = []
    for start in STARTS:
        first = {
            activation: np.median(
                result.grid[Setting(start, "full batch", "plain", activation, "off")].norms[:, 0]
            )
            for activation in ("identity", "tanh")
        }
        ratios.append(f"{first['tanh'] / first['identity']:.2g} ({start})")
    return (
        f"Does tanh on the output help? {_counted(counts)}. It multiplies the first gradient's norm by "
        f"{', '.join(ratios)}: its slope is at most 1. But a target of 1 is "
        "out of its reach, and near it the slope is nearly 0."
    )


def _linear(result: SineResult) -> str:
    base = result.baselines
    a, b = base.coefficients
    return (
        "What is the network worth? Nothing, on this task: sin(k+1) = 2 cos(1) sin(k) - sin(k-1) exactly. Least "
        f"squares on two lags finds {a:.4f} and {b:.4f} and has an RMSE of {base.two_lags:.0e}, on 25 lags "
        f"{base.least_squares:.0e}."
    )


def _free(result: SineResult) -> str:
    first, last = ([run.rmse[k] for run in result.free] for k in (0, -1))
    phases = [run.phase[-1] for run in result.free]
    amplitudes = [run.amplitude[-1] for run in result.free]
    return (
        f"Running freely for 200 steps, RMSE of the first 50 steps {np.median(first):.2g}, of the last 50 "
        f"{np.median(last):.2g} (medians; worst seed {max(last):.2g}). In the last 50 steps the amplitude is "
        f"{min(amplitudes):.4f} to {max(amplitudes):.4f}, the phase {min(phases):.4f} to {max(phases):.4f} rad ahead: "
        f"{_drift_of(amplitudes, phases)}."
    )


def _drift_of(amplitudes: list[float], phases: list[float]) -> str:
    off = max(abs(a - 1) for a in amplitudes)
    late = max(abs(p) for p in phases)
    return (
        "the drift is one of phase, a slightly wrong frequency" if late > off else "the amplitude goes first"
    )
