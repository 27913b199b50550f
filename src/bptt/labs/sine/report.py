"""Table, verdicts and pictures of the sine lab."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.labs.letters import Letters, get_letters
from bptt.labs.outcome import Drawing, Outcome
from bptt.labs.rounding import how_many_seeds, two_digits
from bptt.labs.sine.free import STRETCH
from bptt.labs.sine.lab import (
    ACTIVATIONS,
    BAR,
    BATCHES,
    CLIPS,
    EPOCHS,
    MOMENTA,
    RATE,
    STARTS,
    Setting,
    SineResult,
    Trained,
)
from bptt.labs.sine.verdicts import verdicts
from bptt.labs.told import told_in
from bptt.labs.watched import watched_section
from bptt.plots import forecast_week, panels, unrolled
from bptt.report import Picture, Section, TableBlock, Text

SOURCE = 'After "Recurrent Neural Network for Sine Wave Prediction", S. Pal, 2023'
CLIP_TITLES = {"off": "no clipping", "value": "by value 0.1", "norm": "by norm 1"}
HEADERS = ("start, batch, optimiser, output", *CLIP_TITLES.values(), "norm at first", "largest norm")
# How many steps of a fast wave can be told apart in a picture.
SHOWN = 72
BASELINES = {
    "zero": "always 0",
    "persistence": "the last value again",
    "least_squares": "least squares, 25 lags",
    "two_lags": "least squares, 2 lags",
}


def make_outcome(result: SineResult, notation: str = "ours") -> Outcome:
    """Return what the command shows and writes, in our letters ("ours") or the assignment's ("seed")."""
    outcome = Outcome(
        lab="sine",
        title="Sine lab: do gradients explode, and does clipping help?",
        lead=_lead(result),
        table=table(result),
        verdicts=tuple(verdicts(result)),
        drawings=_drawings(result, get_letters("sine", notation)),
        sections=lambda pictures: _sections(result, pictures),
        numbers=as_numbers(result),
        source=SOURCE,
        first_pictures=("losses",),
        note=_note(result),
        nets={f"best_seed_{seed}": net for seed, net in zip(result.seeds, result.nets, strict=True)},
        diagnoses={} if result.diagnosis is None else {"best setting": result.diagnosis},
    )
    return told_in(outcome, notation)


def _note(result: SineResult) -> str:
    """Say so where less was trained than the bar asks for."""
    made = {s.batch: trained.losses.shape[1] for s, trained in result.grid.items()}
    if all(made[batch] >= EPOCHS[batch] for batch in made):
        return ""
    told = ", ".join(f"{made[batch]} with the {batch}" for batch in made).replace(
        "the per sample", "one sample each"
    )
    usual = " and ".join(str(EPOCHS[batch]) for batch in made)
    return (
        f"A short run: passes over the windows {told}, instead of {usual}. It shows what the report looks like; "
        "nothing below is to be judged by."
    )


def table(result: SineResult) -> TableBlock:
    """Return the grid: a row for each start, batch, optimiser and output, a column for each clipping."""
    keys = list(product(STARTS, BATCHES, MOMENTA, ACTIVATIONS))
    rows = [_row(result, key) for key in keys]
    zero = result.baselines.zero
    losing = [k for k, key in enumerate(keys) if min(map(_median, _of(result, key))) > zero]
    best = result.best
    bold = keys.index((best.start, best.batch, best.optimizer, best.activation))
    rows += [
        (title, f"{getattr(result.baselines, name):.2g}", *[""] * 4) for name, title in BASELINES.items()
    ]
    return TableBlock(
        headers=HEADERS,
        rows=tuple(rows),
        highlight=(bold,),
        losing=tuple(losing),
        caption="RMSE on sin(200)..sin(399), one step ahead: median over "
        f"{how_many_seeds(result.seeds)}; how many runs diverged in brackets; a median without a finite value is a "
        "dash. Norms of the gradient without clipping: largest of the first epoch, median over seeds, and the largest "
        "ever. Coloured rows are worse than always saying 0, whatever the clipping.",
        numeric=(1, 2, 3, 4, 5),
    )


def _of(result: SineResult, key: tuple[str, str, str, str]) -> list[Trained]:
    return [result.grid[Setting(*key, clip)] for clip in CLIPS]


def _median(trained: Trained) -> float:
    return float(np.median(trained.rmse))


def _row(result: SineResult, key: tuple[str, str, str, str]) -> tuple[str, ...]:
    entries = _of(result, key)
    bare = entries[0].norms
    return (
        ", ".join(key),
        *map(_score, entries),
        two_digits(float(np.median(bare[:, 0]))),
        two_digits(float(np.fmax.reduce(bare, axis=None))),
    )


def _score(trained: Trained) -> str:
    middle = _median(trained)
    number = two_digits(middle) if np.isfinite(middle) else "-"
    return f"{number} ({trained.failures})" if trained.failures else number


def _lead(result: SineResult) -> str:
    errors = result.grid[result.best].rmse
    return (
        f"{len(result.grid)} ways to train the assignment's network, {len(result.seeds)} "
        f"seed{'' if len(result.seeds) == 1 else 's'} each. The best: {result.best.title}, with a test RMSE of "
        f"{errors.max():.2g} at its worst seed. A rule of two lags, without any network, is exact."
    )


def _curves(result: SineResult, which: str) -> dict[tuple[str, str], dict[tuple[str, str], Array]]:
    """Return the median curve of each setting by panel."""
    found: dict[tuple[str, str], dict[tuple[str, str], Array]] = {}
    for setting, trained in result.grid.items():
        # A diverged run counts as infinite; where most did, the curve ends.
        middle = np.median(np.nan_to_num(getattr(trained, which), nan=np.inf), axis=0)
        lines = found.setdefault((f"{setting.activation} output", f"{setting.start} start"), {})
        lines[f"{setting.batch}, {setting.optimizer}", CLIP_TITLES[setting.clip]] = middle
    return found


def _drawings(result: SineResult, letters: Letters) -> dict[str, Drawing]:
    truth = result.data.y_test[:, 0]
    several = (
        f"Medians over {how_many_seeds(result.seeds)}; a curve ends where most of its runs have diverged. "
    )
    sizes = ", ".join(f"{name} sd {sd:g}" for name, sd in STARTS.items())

    def grid(which: str, label: str, limits: tuple[float, float] | None, alt: str) -> Drawing:
        def draw(**look: Any) -> Any:
            return panels(_curves(result, which), y_label=label, limits=limits, **look)

        return Drawing(draw, alt)

    def one_step(**look: Any) -> Any:
        shown = {"best setting": result.predictions[0]}
        return forecast_week(truth, shown, steps=SHOWN, quantity="sin(200 + step)", **look)

    def free(**look: Any) -> Any:
        return forecast_week(
            truth,
            {"free run": result.free[0].values},
            start=len(truth) - SHOWN,
            steps=SHOWN,
            quantity="sin(200 + step)",
            **look,
        )

    def drift(**look: Any) -> Any:
        lines = {(f"seed {k}", ""): run.recent for k, run in zip(result.seeds[:4], result.free, strict=False)}
        return panels(
            {("", ""): lines}, x_label="steps run freely", y_label="RMSE of the last 6 steps", **look
        )

    def graph(name: str) -> Any:
        flow = result.flows[name]
        return lambda **look: unrolled(flow.dh, flow.dx, nodes=letters.nodes, **look)

    return {
        "losses": grid(
            "losses",
            "mean loss of the epoch",
            (1e-7, 1e3),
            f"Convergence: training loss by epoch. {several}Starts: {sizes}.",
        ),
        "norms": grid(
            "norms", "largest gradient norm of the epoch", None, f"Gradient norms, before clipping. {several}"
        ),
        "prediction": Drawing(
            one_step,
            f"One step ahead on the continuation, first {SHOWN} steps, seed {result.seeds[0]}; below, the error.",
        ),
        "free_run": Drawing(
            free,
            f"Running freely: the last {SHOWN} of {len(truth)} steps, seed {result.seeds[0]}; below, the error.",
        ),
        "drift": Drawing(
            drift,
            "The free run's error, over about a period at a time, against the steps since it last saw the truth.",
        ),
        **{
            f"unrolled_{name}": Drawing(
                graph(name),
                f"The unrolled network with the gradient on its edges, {title}: dL/dh_t on the edge that leaves h_t, "
                "dL/dx_t from below, medians over the 175 windows. Thicker is larger.",
            )
            for name, title in (*((start, f"{start} start") for start in STARTS), ("trained", "trained"))
        },
    }


def _sections(result: SineResult, pictures: Mapping[str, Picture]) -> list[Section]:
    graphs = [pictures[f"unrolled_{name}"] for name in result.flows]
    how = (
        f"Windows of 25 values of sin(k), k = 0..199: x (175, 25, 1), y (175, 1). An Elman network of 100 tanh units, "
        f"zero initial state, no biases; all weights normal with a deviation of "
        f"{', '.join(f'{sd:g} ({name})' for name, sd in STARTS.items())}. Loss: half the squared error, the mean over "
        f"the batch. SGD at {RATE:g}, momentum {MOMENTA['momentum']:g} or none; {EPOCHS['full batch']} passes with the "
        f"full batch, {EPOCHS['per sample']} per sample, which is {175 * EPOCHS['per sample']:,} updates. Clipping by "
        "value holds each entry within 0.1, by norm the whole gradient within 1. The best setting is the one with the "
        "lowest training loss at its end; the test windows had no say."
    )
    return [
        Section("Do gradients explode?", (pictures["norms"], *graphs)),
        Section("Prediction", (pictures["prediction"],)),
        Section("Running freely", (_free_table(result), pictures["free_run"], pictures["drift"])),
        *([] if result.watched is None else [watched_section(result.watched)]),
        Section("How it was done", (Text(how),)),
    ]


def _free_table(result: SineResult) -> TableBlock:
    count = len(result.free[0].rmse)
    names = [f"{k * STRETCH + 1}-{(k + 1) * STRETCH}" for k in range(count)]

    def row(title: str, values: Iterable[float]) -> tuple[str, ...]:
        return (title, *(f"{value:.4f}" for value in values))

    rows = []
    for seed, run in zip(result.seeds, result.free, strict=True):
        rows += [
            row(f"seed {seed}: RMSE", run.rmse),
            row(f"seed {seed}: amplitude", run.amplitude),
            row(f"seed {seed}: phase, rad", run.phase),
        ]
    return TableBlock(
        headers=("free run, steps", *names),
        rows=tuple(rows),
        caption="Amplitude and phase of the sine of the true frequency that fits each stretch; the truth has 1 and 0.",
    )


def as_numbers(result: SineResult) -> dict[str, Any]:
    """Return the numbers as plain JSON values; lists have one entry a seed, null where a run diverged."""

    def plain(values: Array) -> list[float | None]:
        return [float(value) if np.isfinite(value) else None for value in values]

    best, base = result.best, result.baselines
    return {
        "seeds": list(result.seeds),
        "bar": BAR,
        "baselines": {
            **{name: getattr(base, name) for name in BASELINES},
            "two_lag_coefficients": list(base.coefficients),
        },
        "grid": [
            {
                **{
                    name: getattr(setting, name)
                    for name in ("start", "batch", "optimizer", "activation", "clip")
                },
                "test_rmse": plain(trained.rmse),
                "diverged_after": list(trained.diverged),
                "last_loss": plain(trained.losses[:, -1]),
                "first_norm": plain(trained.norms[:, 0]),
                "largest_norm": plain(np.fmax.reduce(trained.norms, axis=1)),
                "median_loss_by_epoch": plain(np.median(trained.losses, axis=0)),
                "median_norm_by_epoch": plain(np.median(trained.norms, axis=0)),
            }
            for setting, trained in result.grid.items()
        ],
        "best": {"setting": best.title, "test_rmse": plain(result.grid[best].rmse)},
        "free_run": [
            {"rmse": list(run.rmse), "amplitude": list(run.amplitude), "phase": list(run.phase)}
            for run in result.free
        ],
        "gradient_flow": {
            name: {"radius": flow.radius, "dh": flow.dh.tolist(), "dx": flow.dx.tolist()}
            for name, flow in result.flows.items()
        },
    }
