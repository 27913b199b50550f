"""Table, sentences and pictures of the gradients lab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.diagnostics import Diagnosis
from bptt.labs.gradients import cliff as gradients_cliff
from bptt.labs.gradients import feedback, forcing
from bptt.labs.gradients import latch as gradients_latch
from bptt.labs.gradients.data import LAGS, get_task
from bptt.labs.gradients.lab import PROFILE_LAG, Gradients, Ladder, Notify, run
from bptt.labs.gradients.remedies import HIDDEN, PATIENCE, REMEDIES, STEPS
from bptt.labs.gradients.verdicts import lag_or_none, verdicts
from bptt.labs.letters import Letters, get_letters
from bptt.labs.outcome import Drawing, Outcome
from bptt.labs.told import told_in
from bptt.labs.watched import watched_section
from bptt.plots import path_lengths
from bptt.plots.loss_surface import loss_surface
from bptt.plots.unrolled import unrolled
from bptt.report import Picture, Section, TableBlock, Text

SOURCE = 'Follows the notes "Recurrent models for time series forecasting" (lecture 13)'
QUICK_STEPS, QUICK_LAGS = 300, (10, 20)
# What the pictures of untrained networks show; the table has all.
SHOWN = {
    "none": "Elman, uniform start",
    "orthogonal": "Elman, orthogonal start",
    "identity_relu": "Elman, identity, ReLU",
    "programmed": "Elman, pre-programmed",
    "gru": "GRU",
    "gru_keep": "GRU, update bias 2",
    "lstm": "LSTM, forget bias 1",
    "lstm_keep": "LSTM, forget bias 4",
}


def make_outcome(
    *,
    seed: int = 0,
    seeds: int = 3,
    quick: bool = False,
    notify: Notify | None = None,
    notation: str = "ours",
) -> Outcome:
    """Run the lab and return what it leaves behind.

    Parameters
    ----------
    seed, seeds : int
        First seed and their number.
    quick : bool
        Short lags and little training: to look at the report, not to judge by.
    notify : callable, optional
        Told of progress.
    notation : {"ours", "seed"}
        Our letters, or those of the notes.
    """
    steps, lags = (QUICK_STEPS, QUICK_LAGS) if quick else (STEPS, LAGS)
    return outcome_of(run(seed=seed, seeds=seeds, steps=steps, lags=lags, notify=notify), notation)


def outcome_of(result: Gradients, notation: str = "ours") -> Outcome:
    """Return table, verdicts, pictures and numbers."""
    echo = result.ladders["echo"]
    best = max(echo, key=lambda name: (echo[name].reach(len(result.seeds)), name != "programmed"))
    outcome = Outcome(
        lab="gradients",
        title="Gradients lab: which remedy reaches which lag",
        lead=(
            f"A digit is to be said again so many steps later. With {HIDDEN} units and nothing else an Elman network "
            f"reaches {lag_or_none(echo['none'].reach(len(result.seeds)))}; {echo[best].title} reaches "
            f"{lag_or_none(echo[best].reach(len(result.seeds)))}."
        ),
        table=_ladders(result, "echo"),
        verdicts=tuple(verdicts(result)),
        drawings=_drawings(result, get_letters("gradients", notation)),
        sections=lambda pictures: _sections(result, pictures),
        first_pictures=("flow_start",),
        note=_note(result),
        numbers=_numbers(result),
        nets={f"echo_{name}": net for name, net in result.nets.items() if name in ("gru_keep", "lstm_keep")},
        source=f"{SOURCE}. Seeds {list(result.seeds)}",
        diagnoses=_failures(echo["none"]),
    )
    return told_in(outcome, notation)


def _note(result: Gradients) -> str:
    """Say so where less was trained than a lag takes."""
    if result.steps >= STEPS:
        return ""
    return (
        f"A quick run: up to {result.steps:,} updates instead of {STEPS:,}, and few lags. It shows what the report "
        "looks like; nothing below is to be judged by."
    )


def _failures(ladder: Ladder) -> dict[str, Diagnosis]:
    """Return what the doctor says of the first lag that was not solved."""
    for lag, runs in ladder.runs.items():
        for each in runs:
            if each.diagnosis is not None:
                return {f"{ladder.title}, lag {lag}": each.diagnosis}
    return {}


def _lags(result: Gradients) -> list[int]:
    return sorted({lag for rows in result.ladders.values() for row in rows.values() for lag in row.runs})


def _ladders(result: Gradients, name: str) -> TableBlock:
    rows, task = result.ladders[name], get_task(name)
    seeds = len(result.seeds) if name == "echo" else 1
    reach = [row.reach(seeds) for row in rows.values()]
    lags = _lags(result)
    enough = (
        f"at least {100 * task.enough:g} % of fresh answers right"
        if name == "echo"
        else f"a mean squared error of at most {task.enough:g} on fresh sums; saying 1 always has 0.167"
    )
    return TableBlock(
        headers=("remedy", *(f"lag {lag}" for lag in lags), "reach"),
        rows=tuple(
            (
                row.title,
                *(f"{row.solved(lag)}/{seeds}" if lag in row.runs else "–" for lag in lags),
                str(found) if found else "none",
            )
            for row, found in zip(rows.values(), reach, strict=True)
        ),
        highlight=tuple(k for k, found in enumerate(reach) if found == max(reach) and found),
        losing=tuple(k for k, found in enumerate(reach) if not found),
        caption=f"{task.title.capitalize()}: how many seeds of {seeds} solve each lag ({enough}), each lag from a "
        f"fresh start, up to {result.steps:,} updates of 32 by Adam, {PATIENCE:,} where nothing is learnt by then; a "
        "seed goes on to the next lag where it and more than half of all solved the one before. Reach: the longest lag "
        "that more than half of the seeds solve.",
        numeric=tuple(range(1, len(lags) + 2)),
    )  # fmt: skip


def _starts(result: Gradients) -> TableBlock:
    return TableBlock(
        headers=("start", "spectral radius", "largest singular value", "one step back", f"{PROFILE_LAG} steps back"),
        rows=tuple(
            (REMEDIES[name].title.removesuffix(", clipped"), f"{s.radius:.2f}", f"{s.norm:.2f}", f"{s.per_step:.3f}",
             f"{s.flow[0]:.0e}")
            for name, s in result.starts.items()
        ),
        caption=f"Untrained networks on digit echo, lag {PROFILE_LAG}. Radius and singular value of W_hh, the largest "
        "of its gates. Last columns: what the way back multiplies |dL/d(state)| by, over one step (the geometric mean) "
        "and over all; the median over 64 sequences.",
        numeric=(1, 2, 3, 4),
    )  # fmt: skip


def _radii(result: Gradients) -> TableBlock:
    linear = [d for d in result.radii if d.activation == "identity"]
    tanh = [d for d in result.radii if d.activation == "tanh"]
    return TableBlock(
        headers=("spectral radius", "largest singular value", "linear, a step back", "tanh, a step back",
                 "tanh, largest singular value of a step"),
        rows=tuple(
            (f"{a.radius:.2f}", f"{a.norm:.2f}", f"{a.per_step:.3f}", f"{b.per_step:.3f}", f"{b.jacobian:.2f}")
            for a, b in zip(linear, tanh, strict=True)
        ),
        caption="One draw of normal recurrent weights, scaled to each radius, untrained, on digit echo. A step back: "
        f"what it multiplies a gradient by that comes in from a random direction, the geometric mean over "
        f"{len(linear[0].flow) - 1} steps.",
        numeric=(0, 1, 2, 3, 4),
    )  # fmt: skip


def _latch(result: Gradients) -> TableBlock:
    latch = result.latch
    return TableBlock(
        headers=("steps", *(f"w = {w:g}: bits held" for w in latch.held), "neurons that learn to"),
        rows=tuple(
            (str(T), *(f"{100 * shares[k]:.0f} %" for shares in latch.held.values()), f"{100 * latch.learnt[k]:.0f} %")
            for k, T in enumerate(latch.lengths)
        ),
        caption=f"Bengio's neuron, noise of deviation {gradients_latch.NOISE:g}. Bits held: with inputs of +-1. "
        f"Last column: share of neurons that hold 95 % of their bits after {gradients_latch.STEPS} updates, weight and "
        "inputs learnt.",
        numeric=tuple(range(len(latch.held) + 2)),
    )  # fmt: skip


def _forced(result: Gradients) -> TableBlock:
    lags = forcing.JUDGED
    return TableBlock(
        headers=("trained at", "targets for ten of the hidden units", *(f"right at lag {lag}" for lag in lags),
                 "distance to targets"),
        rows=tuple(
            (f"lag {f.lag}", "none" if f.mix is None else f"mixed in by {f.mix:g}",
             *(f"{100 * f.right[lag]:.0f} %" for lag in lags), f"{f.distance:.2f}")
            for f in result.forced
        ),
        caption="State forcing on digit echo: the Elman network, uniform start, clipped, one seed. Judged running "
        "freely, without targets, also at lags it was not trained at. Mixed in by 0: the targets are in the loss. "
        "Distance: root mean square, running freely.",
        numeric=tuple(range(2, 3 + len(lags))),
    )  # fmt: skip


def _fed(result: Gradients) -> TableBlock:
    at = (1, 10, 50, feedback.FREE)
    return TableBlock(
        headers=("own forecasts at the end of training", "one step", *(f"free, step {k}" for k in at)),
        rows=tuple(
            ("none: teacher forcing" if f.share == 0 else f"{100 * f.share:.0f} %: scheduled sampling",
             f"{f.one_step:.3f}", *(f"{f.free[k - 1]:.3f}" for k in at))
            for f in result.fed
        ),
        caption=f"A GRU of {HIDDEN} units forecasts a sum of two sines with noise of deviation "
        f"{feedback.NOISE:g} and reads its own forecasts. Root mean square errors, mean of the seeds: of the "
        "next noisy value, and of a free run against the wave without noise.",
        numeric=tuple(range(1, 2 + len(at))),
    )  # fmt: skip


def _backwards(series: Array) -> Array:
    return series[::-1]


def _drawings(result: Gradients, letters: Letters) -> dict[str, Drawing]:
    starts = {label: result.starts[name] for name, label in SHOWN.items()}
    flows = {label: _backwards(s.flow) for label, s in starts.items()}
    profiles = {label: s.by_lag for label, s in starts.items()}
    trained = {
        f"{SHOWN[name]}, lag {result.trained[name][0]}": _backwards(result.trained[name][1])
        for name in SHOWN
        if name in result.trained
    }
    radii = {f"radius {d.radius:.1f}": _backwards(d.flow) for d in result.radii if d.activation == "tanh"}
    latch = {f"w = {w:g}": _backwards(series) for w, series in result.latch.ratios.items()}
    cliff = result.cliff
    back, size = "steps back from the answer", "|dL/d(state)|, relative"
    found = {
        "flow_start": Drawing(
            lambda **look: path_lengths(flows, quantity=size, x_label=back, **look),
            f"How the gradient flows back through untrained networks, digit echo, lag {PROFILE_LAG}: the norm of "
            "dL/d(state) over that at the answer, the median over 64 sequences.",
        ),
        "by_lag": Drawing(
            lambda **look: path_lengths(profiles, quantity=letters.say("|dL/dW_hh|, relative"), **look),
            "The same networks: the norm of the part of dL/dW_hh that comes over paths of each length.",
        ),
        "radii": Drawing(
            lambda **look: path_lengths(radii, quantity=size, x_label=back, **look),
            "Gradient flow of tanh networks of one draw, scaled to each spectral radius, untrained.",
        ),
        "latch": Drawing(
            lambda **look: path_lengths(latch, quantity=letters.say("|dL/dh_t|, relative"), x_label=back, **look),
            "Bengio's neuron while it holds its bit: the gradient on its way back, the median over 500 bits.",
        ),
        "cliff": Drawing(
            lambda **look: loss_surface(
                cliff.w, cliff.b, cliff.losses,
                {"plain descent": cliff.plain.points, f"clipped at {gradients_cliff.LIMIT:g}": cliff.clipped.points},
                **look,
            ),
            f"Pascanu's cliff: the loss of one unit after {gradients_cliff.T} steps over its weight and bias, and two "
            f"descents from the same point at rate {gradients_cliff.STEP_SIZE:g}.",
        ),
        "unrolled": Drawing(
            lambda **look: unrolled(result.starts["none"].flow, result.starts["none"].dx, nodes=letters.nodes, **look),
            "The untrained Elman network unrolled: |dL/dh_t| and, from below, |dL/dx_t|, over |dL/dh_T|, the medians.",
        ),
    }  # fmt: skip
    if trained:
        found["flow_trained"] = Drawing(
            lambda **look: path_lengths(trained, quantity=size, x_label=back, **look),
            "The same after training, each at the longest lag that its first seed solved.",
        )
    return found


def _sections(result: Gradients, pictures: Mapping[str, Picture]) -> list[Section]:
    return [
        Section("The adding problem", (_ladders(result, "adding"),)),
        Section(
            "How gradients flow",
            (
                _starts(result),
                pictures["unrolled"],
                pictures["by_lag"],
                *(pictures[name] for name in ("flow_trained",) if name in pictures),
            ),
        ),
        Section("Spectral radius", (_radii(result), pictures["radii"], Text(RADIUS))),
        Section("Forcing", (_forced(result), _fed(result))),
        Section("One neuron (Bengio 1994)", (_latch(result), pictures["latch"])),
        Section("The cliff (Pascanu 2013)", (pictures["cliff"],)),
        watched_section(result.watched),
    ]


RADIUS = (
    "The largest singular value bounds one step: where it is below 1 for every step's Jacobian, the gradient vanishes "
    "for certain. A spectral radius above 1 does not make it explode for certain: tanh units saturate, and their "
    "slopes pull it down again."
)


def _numbers(result: Gradients) -> dict[str, Any]:
    cliff, latch = result.cliff, result.latch
    return {
        "seed": result.seeds[0],
        "seeds": list(result.seeds),
        "steps": result.steps,
        "ladders": {
            task: {
                name: {
                    "title": row.title,
                    "reach": row.reach(len(result.seeds) if task == "echo" else 1),
                    "seconds": row.seconds,
                    "lags": {
                        str(lag): [
                            {"score": r.score, "solved": r.solved, "steps": r.steps, "diverged": r.diverged}
                            for r in runs
                        ]
                        for lag, runs in row.runs.items()
                    },
                }
                for name, row in rows.items()
            }
            for task, rows in result.ladders.items()
        },
        "starts": {
            name: {
                "radius": s.radius,
                "norm": s.norm,
                "per_step": s.per_step,
                "flow": s.flow.tolist(),
                "by_path_length": s.by_lag.tolist(),
            }
            for name, s in result.starts.items()
        },
        "trained": {name: {"lag": lag, "flow": flow.tolist()} for name, (lag, flow) in result.trained.items()},
        "radii": [
            {"activation": d.activation, "radius": d.radius, "norm": d.norm, "jacobian": d.jacobian,
             "per_step": d.per_step}
            for d in result.radii
        ],
        "forced": [
            {"mix": f.mix, "lag": f.lag, "right": {str(k): v for k, v in f.right.items()}, "distance": f.distance}
            for f in result.forced
        ],
        "fed": [{"share": f.share, "one_step": f.one_step, "free": f.free.tolist()} for f in result.fed],
        "latch": {
            "lengths": list(latch.lengths),
            "learnt": latch.learnt.tolist(),
            "held": {f"{w:g}": shares.tolist() for w, shares in latch.held.items()},
            "resting": {f"{w:g}": [r.high, r.slope, r.threshold] for w, r in latch.resting.items()},
        },
        "cliff": {
            "steepest": cliff.steepest,
            "plain": {"end": cliff.plain.points[-1].tolist(), "loss": float(cliff.plain.losses[-1]),
                      "longest_step": float(longest_step(cliff.plain.points))},
            "clipped": {"end": cliff.clipped.points[-1].tolist(), "loss": float(cliff.clipped.losses[-1]),
                        "largest_norm": float(cliff.clipped.norms.max())},
        },
        "seconds": result.seconds,
    }  # fmt: skip


def longest_step(points: Array) -> float:
    """Return the longest distance between two points that follow each other."""
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).max())
