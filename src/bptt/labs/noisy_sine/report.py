"""Table and pictures of the noisy-sine lab."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.labs.edges import Edges
from bptt.labs.letters import Letters, get_letters
from bptt.labs.noisy_sine.data import FLOOR, msse, new_series
from bptt.labs.noisy_sine.lab import Fitted
from bptt.labs.noisy_sine.study import BAR, PRINTED_LOSSES, WATCHED, Configuration, Sizes, Study
from bptt.labs.noisy_sine.verdicts import verdicts
from bptt.labs.outcome import Drawing, Outcome
from bptt.labs.rounding import how_many_seeds
from bptt.labs.rounding import two_digits as short
from bptt.labs.told import told_in
from bptt.labs.watched import watched_section
from bptt.optim import InverseTime
from bptt.plots import fits, hidden_states, panels, unrolled
from bptt.report import Picture, Section, TableBlock, Text

SOURCE = 'After "Recurrent Neural Networks - from Scratch", M. Hohle'
HEADERS = ("configuration", "MSSE", "spread", "against the sine", "first gradient", "on 0..20 by 0.3")
COLOURS = 4
DECAYS = (0.0, 0.01, 0.05, 0.15)


def make_outcome(study: Study, notation: str = "ours") -> Outcome:
    """Return what the command shows and writes, in our letters ("ours") or the lecture's ("seed")."""
    outcome = Outcome(
        lab="noisy-sine",
        title="Noisy-sine lab: a program from a lecture, printed, corrected, and sane",
        lead=_lead(study),
        table=table(study),
        verdicts=tuple(verdicts(study)),
        drawings=_drawings(study, get_letters("noisy-sine", notation)),
        sections=lambda pictures: _sections(study, pictures),
        numbers=as_numbers(study),
        source=SOURCE,
        first_pictures=("losses",),
        note=_note(study),
        nets={name: fitted.net for name, fitted in study.details.items()},
        diagnoses={name: f.diagnosis for name, f in study.details.items() if f.diagnosis is not None},
    )
    return told_in(outcome, notation)


def _note(study: Study) -> str:
    """Say so where less was trained than the lecture and the bars ask for."""
    asked, lecture, sane = Sizes(), study.sizes.lecture, study.sizes.sane
    if lecture.epochs >= asked.lecture.epochs and sane.epochs >= asked.sane.epochs:
        return ""
    return (
        f"A quick run: {lecture.neurons} neurons and {lecture.epochs} epochs (sane: {sane.neurons} and {sane.epochs}) "
        f"instead of {asked.lecture.neurons} and {asked.lecture.epochs:,} ({asked.sane.neurons} and "
        f"{asked.sane.epochs}). It shows what the report looks like; nothing below is to be judged by."
    )


def _epochs(study: Study) -> str:
    lecture, sane = study.sizes.lecture.epochs, study.sizes.sane.epochs
    return f"{lecture:,} epochs" + ("" if lecture == sane else f", sane {sane:,}")


def table(study: Study) -> TableBlock:
    """Return the configurations side by side."""
    rows = [_row(row) for row in study.configurations.values()]
    zero, new = study.data, np.sin(new_series()["lecture"])
    rows.append(("always 0", _of_zero(zero.y), "", _of_zero(zero.clean), "", _of_zero(new)))
    rows.append(("the noise alone", short(FLOOR), "", "0", "", "0"))
    return TableBlock(
        headers=HEADERS,
        rows=tuple(rows),
        highlight=(list(study.configurations).index("sane"),),
        caption=f"MSSE = 1/(2T) sum of (prediction - y)^2 at the end ({_epochs(study)}), mean of "
        f"{how_many_seeds(study.seeds)}, spread from the "
        "smallest to the largest; then against the sine without its noise; the norm of the first gradient (of "
        "the recurrent "
        "part alone in the printed rows); the MSSE on the lecture's new series, against the sine.",
        numeric=(1, 2, 3, 4, 5),
    )


def _of_zero(truth: Array) -> str:
    return short(msse(np.zeros_like(truth), truth))


def _row(row: Configuration) -> tuple[str, ...]:
    ends = row.ends
    return (
        row.title,
        short(float(np.mean(ends))),
        f"{short(min(ends))}-{short(max(ends))}" if len(ends) > 1 else "",
        short(float(np.mean(row.clean))),
        short(float(np.median(row.first_norm))),
        short(float(np.mean([each["lecture"] for each in row.applied]))),
    )


def _lead(study: Study) -> str:
    ends = {name: float(np.mean(row.ends)) for name, row in study.configurations.items()}
    return (
        f"One noisy sine, {study.sizes.lecture.neurons} neurons, {how_many_seeds(study.seeds)}. Mean MSSE at the end: "
        "as printed "
        f"{short(ends['printed'])}, corrected {short(ends['corrected'])}, sane {short(ends['sane'])}; the noise "
        "alone is "
        f"{short(FLOOR)}."
    )


def _drawings(study: Study, letters: Letters) -> dict[str, Drawing]:
    x, y = study.data.x[:, 0], study.data.y[:, 0]
    seed = study.seeds[0]

    def panel_fits(by_epoch: Mapping[int, Array], columns: int) -> Any:
        shown = {f"epoch {n}": fit[:, 0] for n, fit in sorted(by_epoch.items())}
        return lambda **look: fits(x, y, shown, columns=columns, **look)

    def of(fitted: Fitted) -> dict[int, Array]:
        return {n: snapshot.fit for n, snapshot in fitted.snapshots.items()}

    def data(**look: Any) -> Any:
        return fits(x, y, {"": study.data.clean[:, 0]}, names=("y, with noise", "the sine"), **look)

    def losses(**look: Any) -> Any:
        lines = {(row.title, ""): row.losses[0] for row in study.configurations.values()}
        return panels({("", ""): lines}, x_label="epoch", y_label="MSSE = 1/(2T) sum of squares", **look)

    def plain(**look: Any) -> Any:
        lines = {
            ("lecture, printed", ""): np.array(PRINTED_LOSSES),
            ("its script, run again", ""): study.plain_printed.losses[:-1],
            ("right gradient", ""): study.plain.losses[:-1],
        }
        return panels({("", ""): lines}, x_label="epoch", y_label="MSSE", **look)

    def states(**look: Any) -> Any:
        start = study.plain.snapshots[0]
        right, sane = study.details["corrected"], study.details["sane"]
        shown = {
            f"lecture's start, {start.states.shape[1]} neurons": start.states,
            "corrected, after 1 update": right.snapshots[min(1, max(right.snapshots))].states,
            "sane, at the start": sane.snapshots[0].states,
            "sane, trained": sane.snapshots[max(sane.snapshots)].states,
        }
        return hidden_states(shown, **look)

    def applied(name: str) -> Any:
        new = new_series()

        def draw(**look: Any) -> Any:
            places = np.arange(-10, 20, 0.1)
            shown = {
                study.configurations[key].title: (new[name][:, 0], study.configurations[key].new[name][:, 0])
                for key in ("printed", "corrected", "sane")
            }
            return fits(places, np.sin(places), shown, names=("sin(x)", "prediction"), limits=(-4, 4), **look)

        return draw

    def decay(**look: Any) -> Any:
        rate, epochs = study.sizes.sane.learning_rate, study.sizes.sane.epochs
        lines = {
            (f"decay {d:g}", ""): np.array([InverseTime(rate, d)(n) for n in range(epochs)]) for d in DECAYS
        }
        return panels({("", ""): lines}, y_label="learning rate", **look)

    def activations(**look: Any) -> Any:
        first = next(iter(study.activations))
        # Five curves for four colours: the last is the first's with another line.
        names = {
            name: (name, "") if k < COLOURS else (first, name) for k, name in enumerate(study.activations)
        }
        lines = {names[name]: fitted.losses for name, fitted in study.activations.items()}
        return panels({("", ""): lines}, y_label="MSSE", **look)

    rows = study.configurations
    return {
        "data": Drawing(data, "The data: a sine with normal noise of deviation 0.1, in steps of 0.1."),
        "losses": Drawing(
            losses,
            f"MSSE against the epoch, logarithmic, seed {seed}; {_epochs(study)}. The lecture's own curve shows "
            "this number divided by T once more.",
        ),
        "states": Drawing(
            states,
            "States of the first 20 neurons, a faint line a step. At -1 and +1 the slope of tanh is nearly 0.",
        ),
        "plain_losses": Drawing(
            plain, "The first 20 epochs, 500 neurons, no momentum: printed in the lecture, and run again."
        ),
        "fits_plain": Drawing(
            panel_fits(of(study.plain), 4),
            f"Plain run, right gradient: the fit of each of its 20 epochs, seed {seed}.",
        ),
        "fits_momentum": Drawing(
            panel_fits(of(study.momentum), 3), f"Momentum, corrected: the fit every 50 epochs, seed {seed}."
        ),
        **{
            f"fits_{name}": Drawing(
                panel_fits(rows[name].fits, 4), f"{rows[name].title.capitalize()}: fits, seed {seed}."
            )
            for name in ("printed", "corrected", "sane")
        },
        "applied": Drawing(
            applied("lecture"), f"Applied to 0..20 in steps of 0.3, seed {seed}; cut off at -4 and 4."
        ),
        **{
            f"unrolled_{name}": Drawing(
                partial(unrolled, flow.dh, flow.dx, flow.dy, nodes=letters.nodes),
                f"The unrolled network with the gradient on its edges, {title}, seed {seed}: what comes back to h_t "
                "from step t + 1, from its own output (above), and what reaches x_t (below). Thicker is larger.",
            )
            for name, title, flow in _flows(study)
        },
        "decay": Drawing(decay, "The decay of the learning rate: rate / (1 + decay x epoch)."),
        "activations": Drawing(
            activations,
            f"The sane recipe with each activation: MSSE against the epoch, "
            f"{study.sizes.activations.epochs} of them, seed {seed}.",
        ),
    }


def _flows(study: Study) -> list[tuple[str, str, Edges]]:
    """Return name, title and edges of the unrolled pictures."""
    flows = study.flows
    titles = {"start": "lecture's start", "corrected": "corrected, trained", "sane": "sane, trained"}
    return [(name, titles[name], flows[name]) for name in titles]


def _sections(study: Study, pictures: Mapping[str, Picture]) -> list[Section]:
    recipe, sane = study.sizes.lecture, study.sizes.sane
    how = (
        f"T = {len(study.data.x)} steps of x from -10 to 10, y = sin(x) + 0.1 normal noise; an Elman network of "
        f"{recipe.neurons} "
        "neurons with an output at every step, all weights and the bias normal with a deviation of 0.1, no "
        "output bias, zero "
        f"initial state, float32 (the printed program float64). Lecture: {recipe.epochs:,} epochs, rate "
        f"{recipe.learning_rate:g}, "
        f"momentum {recipe.momentum:g}, decay {recipe.decay:g}, of the sum of squares. Sane: radius "
        f"{sane.radius:g}, gradient "
        f"clipped at norm {sane.clip:g}, rate {sane.learning_rate:g}, decay {sane.decay:g}, {sane.epochs:,} "
        "epochs, the same "
        "momentum. The same seed starts the printed and the corrected run from the same weights."
    )
    watched = study.activations[WATCHED].watched
    return [
        Section("Data and first states", (pictures["data"], pictures["states"])),
        Section(
            "The gradient on its way back",
            (
                *(pictures[name] for name in pictures if name.startswith("unrolled_")),
                Text(
                    "At each state what comes over its two edges is added: from its own output, and from all later "
                    "ones through the next state. At the lecture's start the second grows with every step back; after "
                    "the first update it is 0."
                ),
            ),
        ),
        Section(
            "The first epochs", (pictures["plain_losses"], pictures["fits_plain"], pictures["fits_momentum"])
        ),
        Section("Fits", (pictures["fits_printed"], pictures["fits_corrected"], pictures["fits_sane"])),
        Section("Another series", (pictures["applied"], _applied_table(study))),
        Section("Activations and decay", (pictures["activations"], pictures["decay"])),
        *([] if watched is None else [watched_section(watched)]),
        Section("How it was done", (Text(how),)),
    ]


def _applied_table(study: Study) -> TableBlock:
    titles = {
        "lecture": "0..20 by 0.3",
        "start": "0..10 by 0.1",
        "spacing": "-10..10 by 0.3",
        "range": "-10..20 by 0.1",
    }
    rows = [
        (row.title, *(short(float(np.mean([each[name] for each in row.applied]))) for name in titles))
        for row in study.configurations.values()
    ]
    rows.append(("always 0", *(_of_zero(np.sin(new_series()[name])) for name in titles)))
    return TableBlock(
        headers=("configuration", *titles.values()),
        rows=tuple(rows),
        caption="MSSE against the sine on new series, from a zero state; means over the seeds.",
    )


def as_numbers(study: Study) -> dict[str, Any]:
    """Return the numbers as plain JSON values; lists have one entry a seed."""
    return {
        "seeds": list(study.seeds),
        "bar": BAR,
        "noise_floor": FLOOR,
        "configurations": {
            name: {
                "title": row.title,
                "msse": row.ends,
                "msse_against_the_sine": row.clean,
                "first_gradient_norm": row.first_norm,
                "diverged_after": row.diverged,
                "applied": row.applied,
                "losses_first_seed": row.losses[0].tolist(),
            }
            for name, row in study.configurations.items()
        },
        "snapshots": {
            name: {
                str(n): {
                    "saturated": s.saturated,
                    "hidden_gradient_norm": s.hidden_norm,
                    "gradient_norms": s.norms,
                }
                for n, s in fitted.snapshots.items()
            }
            for name, fitted in study.details.items()
        },
        "plain": {
            "lecture": list(PRINTED_LOSSES),
            "printed_again": study.plain_printed.losses.tolist(),
            "right_gradient": study.plain.losses.tolist(),
        },
        "momentum": study.momentum.losses.tolist(),
        "activations": {
            name: {"msse": float(fitted.losses[-1]), "diverged_after": fitted.diverged}
            for name, fitted in study.activations.items()
        },
        "cosine_to_the_right_gradient": study.alignment,
        "gradient_on_edges": {
            name: {
                "from_the_next_step": flow.dh.tolist(),
                "from_the_output": [] if flow.dy is None else flow.dy.tolist(),
                "x": flow.dx.tolist(),
            }
            for name, flow in study.flows.items()
        },
    }
