"""`bptt lab sine`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bptt.cli.apps import lab
from bptt.cli.exercise import Exercise, write_exercise
from bptt.cli.options import Json, Notation, Out, Quiet, Seed, Seeds
from bptt.cli.run_lab import check_notation, run_lab

if TYPE_CHECKING:
    from bptt.labs.outcome import Notify, Outcome

Epochs = Annotated[
    int | None,
    typer.Option("--epochs", min=1, help="Passes over the windows; 60 with the full batch, 20 per sample."),
]


@lab.command("sine")
def sine(
    seed: Seed = 0,
    seeds: Seeds = 5,
    epochs: Epochs = None,
    out: Out = Path("bptt-sine"),
    json_to: Json = None,
    quiet: Quiet = False,
    notation: Notation = "ours",
    exercise: Exercise = None,
) -> None:
    """Predict sin(k) from 25 values, and see whether gradients explode and clipping helps.

    Follows "Recurrent Neural Network for Sine Wave Prediction" (100 units, no biases, x (175, 25, 1)). Trains every
    combination of starting weights, batch, optimiser, output activation and clipping, lets the best network run freely,
    and writes report.html, pictures, result.json and that network into a folder.
    """
    if exercise is not None:
        write_exercise("sine", exercise)
        return
    check_notation("sine", notation)

    def work(notify: Notify) -> Outcome:
        from bptt.labs.sine.lab import BATCHES, run
        from bptt.labs.sine.report import make_outcome

        passes = None if epochs is None else dict.fromkeys(BATCHES, epochs)
        return make_outcome(run(seed=seed, seeds=seeds, epochs=passes, notify=notify), notation)

    words = ["bptt", "lab", "sine", "--seed", str(seed), "--seeds", str(seeds)]
    words += [] if epochs is None else ["--epochs", str(epochs)]
    words += ["--notation", notation] if notation != "ours" else []
    run_lab(work, out=out, json_to=json_to, quiet=quiet, command=shlex.join(words))
