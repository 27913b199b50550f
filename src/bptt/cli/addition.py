"""`bptt lab addition`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from bptt.cli.apps import lab
from bptt.cli.exercise import Exercise, write_exercise
from bptt.cli.options import Json, Notation, Out, Quiet, Seed, Seeds
from bptt.cli.run_lab import check_notation, run_lab

Quick = Annotated[
    bool, typer.Option("--quick", help="A twentieth of the training: to look at the report, not to judge by.")
]


@lab.command("addition")
def addition(
    seed: Seed = 0,
    seeds: Seeds = 3,
    quick: Quick = False,
    out: Out = Path("bptt-addition"),
    json_to: Json = None,
    quiet: Quiet = False,
    notation: Notation = "ours",
    exercise: Exercise = None,
) -> None:
    """Teach a network to add two numbers digit by digit, and take its gradient apart by path length.

    Follows the assignment "Backpropagation in Recurrent Neural Networks" (Elman, 100 units, one-hot digits, softmax,
    SGD, gradient check, bptt_truncate, only_paths_of_size). Ends with the share of exact sums on unseen numbers of 10
    and 20 digits, and writes report.html, pictures, result.json and the trained network into a folder.
    """
    if exercise is not None:
        write_exercise("addition", exercise)
        return
    check_notation("addition", notation)
    from bptt.labs.addition.report import make_outcome

    words = ["bptt", "lab", "addition", "--seed", str(seed), "--seeds", str(seeds)]
    words += ["--quick"] if quick else []
    words += ["--notation", notation] if notation != "ours" else []
    run_lab(
        lambda notify: make_outcome(seed=seed, seeds=seeds, quick=quick, notify=notify, notation=notation),
        out=out,
        json_to=json_to,
        quiet=quiet,
        command=shlex.join(words),
    )
