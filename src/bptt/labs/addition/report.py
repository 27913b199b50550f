"""Table, sentences and pictures of the addition lab."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from bptt.labs.addition import limits as addition_limits
from bptt.labs.addition.answers import ANSWERS
from bptt.labs.addition.data import get_encoding
from bptt.labs.addition.lab import BAR, HIDDEN, SCORED, STEPS, TRAIN_DIGITS, Adding, Notify, Trained
from bptt.labs.addition.limits import Limits
from bptt.labs.addition.result import AdditionResult, run_all
from bptt.labs.addition.truncation import DIGITS, WAYS, Truncation
from bptt.labs.addition.verdicts import paths_line, percent, seeds_of, verdicts
from bptt.labs.letters import Letters, get_letters
from bptt.labs.outcome import Drawing, Outcome
from bptt.labs.told import told_in
from bptt.labs.watched import watched_section
from bptt.plots import learning_curve, path_lengths, truncation
from bptt.plots.unrolled import unrolled
from bptt.report import Picture, Section, TableBlock, Text

SOURCE = 'Follows the assignment "Backpropagation in Recurrent Neural Networks" (digit addition)'
HEADERS = (
    "training, interleaved digits",
    *(f"{n} digits" for n in SCORED),
    "carry through 20",
    "worst seed",
    "s",
)
ENCODING_HEADERS = (
    "way to write the numbers",
    f"{TRAIN_DIGITS} digits",
    "their digits",
    *(f"{n} digits" for n in SCORED),
)
# Pictures of the unrolled graph, and the training that each shows.
UNROLLED = {"unrolled_elman": "Elman, Adam 0.001", "unrolled_lstm": "LSTM, Adam 0.003"}


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
        Train a twentieth as long: the bars are then missed.
    notify : callable, optional
        Told of progress.
    notation : {"ours", "seed"}
        Our letters, or those of the assignment.
    """
    return outcome_of(run_all(seed=seed, seeds=seeds, quick=quick, notify=notify), notation)


def outcome_of(result: AdditionResult, notation: str = "ours") -> Outcome:
    """Return table, verdicts, pictures and numbers."""
    best = result.adding.recipes["default"]
    outcome = Outcome(
        lab="addition",
        title="Addition lab: a network that adds, digit by digit",
        lead=(
            f"An Elman network of {HIDDEN} units, trained on sums of numbers of up to {TRAIN_DIGITS} digits, adds "
            f"{percent(np.mean(best.exact['10']))} of unseen pairs of 10 digits and "
            f"{percent(np.mean(best.exact['20']))} of 20 digits without a wrong digit."
        ),
        table=_recipes(result),
        verdicts=tuple(verdicts(result)),
        drawings=_drawings(result, get_letters("addition", notation)),
        sections=lambda pictures: _sections(result, pictures),
        first_pictures=("training",),
        note=_note(result),
        numbers=_numbers(result),
        nets={"adder": result.adding.snapshots[result.steps]},
        diagnoses=dict(zip(["default training"], best.diagnoses, strict=False)),
        source=f"{SOURCE}. Seeds {list(result.seeds)}",
    )
    return told_in(outcome, notation)


def _note(result: AdditionResult) -> str:
    """Say so where less was trained than the bars ask for."""
    if result.steps >= STEPS:
        return ""
    return (
        f"A quick run: {result.steps:,} steps instead of {STEPS:,}, judged on {result.test_pairs:,} pairs. It shows "
        "what the report looks like; nothing below is to be judged by."
    )


def _recipes(result: AdditionResult) -> TableBlock:
    rows = list(result.adding.recipes.values())
    reach = [min(min(row.exact[str(n)]) for n in SCORED) for row in rows]
    caption = (
        f"Share of sums with every digit right, mean over {seeds_of(result)}; worst seed: the lower of its two shares. "
        f"{result.steps:,} steps of 32 on pairs of up to {TRAIN_DIGITS} digits, judged on {result.test_pairs:,} unseen "
        f"pairs of each length. Rows below {percent(BAR)} are coloured."
    )
    return TableBlock(
        headers=HEADERS,
        rows=tuple(
            (
                row.title + (", diverged" if any(row.diverged) else ""),
                *(percent(np.mean(row.exact[str(n)])) for n in SCORED),
                percent(np.mean(row.exact["carry"])),
                percent(worst),
                f"{np.mean(row.seconds):.1f}",
            )
            for row, worst in zip(rows, reach, strict=True)
        ),
        highlight=(0,),
        losing=tuple(k for k, worst in enumerate(reach) if worst < BAR),
        caption=caption,
        numeric=(1, 2, 3, 4, 5),
    )


def _encodings(result: AdditionResult) -> TableBlock:
    return TableBlock(
        headers=ENCODING_HEADERS,
        rows=tuple(_encoding_cells(name, row) for name, row in result.adding.encodings.items()),
        caption=f"The default training on each way to write the numbers, share of exact sums, mean over "
        f"{seeds_of(result)}; second column: share of the single digits of sums of {TRAIN_DIGITS} digits.",
        numeric=(1, 2, 3, 4),
    )


def _encoding_cells(name: str, row: Trained) -> tuple[str, ...]:
    shares = (row.exact["trained"], row.digits, *(row.exact[str(n)] for n in SCORED))
    return (get_encoding(name).title, *(percent(np.mean(share)) for share in shares))


def _check(adding: Adding) -> TableBlock:
    return TableBlock(
        headers=("gradient of", "against", "worst entry", "found", "reference", "error"),
        rows=tuple(
            (
                {"state.h": "initial state"}.get(row.name, row.name.rpartition(".")[2]),
                "central differences" if row.method == "central" else "complex step",
                str(row.entry) if row.entry is not None else "a direction",
                f"{row.found.real:.6e}",
                f"{row.reference.real:.6e}",
                f"{row.error:.0e}",
            )
            for row in adding.check.rows
        ),
        losing=tuple(k for k, row in enumerate(adding.check.rows) if not row.passed),
        caption="The gradient check of exercise 2, on the untrained network. Errors are relative to each tensor's "
        "largest entry; 1e-7 is allowed against central differences, 1e-12 against the complex step.",
        numeric=(3, 4, 5),
    )


def _cuts(found: Truncation) -> TableBlock:
    T = len(found.bias.lengths)
    rows = []
    for cut in found.cuts:
        k = T - 1 if cut.way == "full" else cut.longest
        way = "sliding" if cut.way == "full" else cut.way
        rows.append(
            (
                cut.title,
                percent(cut.exact),
                f"{np.mean(cut.losses[-50:]):.3f}",
                f"{found.bias.cosine[way][k]:.3f}",
                f"{found.bias.ratio[way][k]:.3f}",
            )
        )
    return TableBlock(
        headers=("gradient", "exact sums", "last 50 losses", "cosine", "length"),
        rows=tuple(rows),
        caption=f"One number after the other, {DIGITS} digits each; one seed. Cosine and length of dL/dW_hh are "
        "those of the untrained network against the full gradient.",
        numeric=(1, 2, 3, 4),
    )


def _holding(limits: Limits) -> TableBlock:
    rows = []
    for length in addition_limits.LENGTHS:
        of = [row for row in limits.rows if row.steps == length]
        cells = [
            f"{percent(np.mean(row.right))} ({', '.join(f'{100 * r:.0f}' for r in row.right)})" for row in of
        ]
        rows.append((f"first and last of {length}", *cells))
    return TableBlock(
        headers=("digits to add", *(row.title for row in limits.rows[: len(addition_limits.TRAININGS)])),
        rows=tuple(rows),
        caption="Share of right answers on 5,000 fresh sequences, mean over the seeds and each of them; guessing gets "
        f"10 %. All: {HIDDEN} units, clipped at norm 1, {len(limits.rows[0].losses[0]):,} steps of 32. Of n digits "
        "the first lies n - 1 steps back when it is needed.",
        numeric=(1, 2, 3),
    )


def _drawings(result: AdditionResult, letters: Letters) -> dict[str, Drawing]:
    adding, steps, limits = result.adding, result.steps, result.limits
    shown = {row.title: row.losses for row in adding.recipes.values()}
    named = {
        ("start" if done == 0 else "end" if done == steps else f"after {done:,} steps"): parts.mean_abs(
            "layers.0.W_hh"
        )
        for done, parts in adding.profiles.items()
    }
    cosines = {WAYS[way]: found for way, found in result.truncated.bias.cosine.items()}
    return {
        "training": Drawing(
            lambda **look: learning_curve(shown, loss_label="cross-entropy a digit", window=100, **look),
            "Loss of every step on the interleaved digits, each training and seed.",
        ),
        "path_lengths": Drawing(
            lambda **look: path_lengths(named, quantity=letters.say("mean |dL/dW_hh|"), **look),
            "Mean absolute entry of dL/dW_hh from paths of each length (only_paths_of_size), at the start, within and "
            "at the end of the default training, on 256 pairs of 10 digits.",
        ),
        "truncation": Drawing(
            lambda **look: truncation(cosines, **look),
            "Cosine between the truncated and the full dL/dW_hh of the untrained network, one number after the other: "
            "truncated per output, and cut in chunks.",
        ),
        "depends_on": Drawing(
            lambda **look: path_lengths(
                {title: share[::-1] for title, share in limits.swayed.items()},
                quantity="share of answers that change",
                x_label="the digit so many steps back is replaced",
                log=False,
                **look,
            ),
            "What the answer hangs on after training: share of answers that change when one digit is replaced, first "
            f"and last of {max(addition_limits.LENGTHS)} digits. The two that count are at both ends.",
        ),
        **{
            name: Drawing(
                partial(unrolled, limits.flows[title].dstate, limits.flows[title].dx, nodes=letters.nodes),
                f"The unrolled network after training, {title}: the norm of dL/d(state) on the edge that leaves "
                "step t, of dL/dx_t from below. Thicker is larger.",
            )
            for name, title in UNROLLED.items()
        },
        "limits": Drawing(
            lambda **look: path_lengths(
                limits.profiles, quantity=letters.say("mean |dL/dW_hh|, over that of k = 0"), **look
            ),
            "How dL/dW_hh of untrained networks decays with the path length, loss at the last of "
            f"{addition_limits.PROFILE_STEPS} steps.",
        ),
    }


def _sections(result: AdditionResult, pictures: Mapping[str, Picture]) -> list[Section]:
    return [
        Section("Ways to write the numbers", (_encodings(result),)),
        Section("The gradient check (exercise 2)", (_check(result.adding),)),
        Section(
            "The gradient by path length (exercise 3)",
            (pictures["path_lengths"], Text(paths_line(result)), Text(ANSWERS["paths"])),
        ),
        *([] if result.adding.watched is None else [watched_section(result.adding.watched)]),
        Section(
            "Why truncate?", (_cuts(result.truncated), pictures["truncation"], Text(ANSWERS["truncation"]))
        ),
        Section(
            "The limits",
            (
                _holding(result.limits),
                pictures["limits"],
                pictures["depends_on"],
                *(pictures[name] for name in UNROLLED),
                Text(ANSWERS["limits"]),
            ),
        ),
    ]


def _numbers(result: AdditionResult) -> dict[str, Any]:
    adding, cut = result.adding, result.truncated
    return {
        "seed": result.seeds[0],
        "seeds": list(result.seeds),
        "steps": result.steps,
        "recipes": {name: _trained_json(row) for name, row in adding.recipes.items()},
        "encodings": {name: _trained_json(row) for name, row in adding.encodings.items()},
        "gradient_check": {
            "passed": adding.check.passed,
            "central": adding.check.worst("central"),
            "complex": adding.check.worst("complex"),
        },
        "parts_error": adding.parts_error,
        "mean_abs_dW_by_path_length": {
            str(done): parts.mean_abs("layers.0.W_hh").tolist() for done, parts in adding.profiles.items()
        },
        "truncation": {
            "sliding_error": cut.sliding_error,
            "cosine": {way: series.tolist() for way, series in cut.bias.cosine.items()},
            "ratio": {way: series.tolist() for way, series in cut.bias.ratio.items()},
            "trained": [{"way": c.way, "longest": c.longest, "exact": c.exact} for c in cut.cuts],
        },
        "limits": [
            {
                "cell": row.cell,
                "rate": row.rate,
                "steps": row.steps,
                "right": row.right,
                "seconds": row.seconds,
            }
            for row in result.limits.rows
        ],
        "answers_swayed_by_digit": {title: share.tolist() for title, share in result.limits.swayed.items()},
        "first_digit_held": result.limits.held,
        "decay_by_path_length": {name: series.tolist() for name, series in result.limits.profiles.items()},
        "seconds": result.seconds,
    }


def _trained_json(row: Trained) -> dict[str, Any]:
    return {
        "title": row.title,
        "exact": row.exact,
        "digits_trained_length": row.digits,
        "largest_gradient_norm": [float(norms.max()) for norms in row.norms],
        "diverged": row.diverged,
        "seconds": row.seconds,
    }
