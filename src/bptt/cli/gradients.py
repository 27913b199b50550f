"""`bptt lab gradients`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from bptt.cli.apps import lab
from bptt.cli.options import Json, Notation, Out, Quiet, Seed, Seeds
from bptt.cli.run_lab import check_notation, run_lab

Quick = Annotated[
    bool, typer.Option("--quick", help="Short lags, little training: to look at the report, not to judge by.")
]


@lab.command("gradients")
def gradients(
    seed: Seed = 0,
    seeds: Seeds = 3,
    quick: Quick = False,
    out: Out = Path("bptt-gradients"),
    json_to: Json = None,
    quiet: Quiet = False,
    notation: Notation = "ours",
) -> None:
    """Set the remedies against vanishing and exploding gradients against each other, at growing lags.

    Follows the notes "Recurrent models for time series forecasting" (spectral radius, vanishing and exploding
    gradients, penalties, pre-programming, LSTM), Bengio 1994 (one neuron that latches) and Pascanu 2013 (the cliff,
    clipping, the penalty). Ends with the lags that each remedy reaches on digit echo and on the adding problem, and
    writes report.html, pictures, result.json and two trained networks into a folder.
    """
    check_notation("gradients", notation)
    from bptt.labs.gradients.report import make_outcome

    words = ["bptt", "lab", "gradients", "--seed", str(seed), "--seeds", str(seeds)]
    words += ["--quick"] if quick else []
    words += ["--notation", notation] if notation != "ours" else []
    run_lab(
        lambda notify: make_outcome(seed=seed, seeds=seeds, quick=quick, notify=notify, notation=notation),
        out=out,
        json_to=json_to,
        quiet=quiet,
        command=shlex.join(words),
    )
