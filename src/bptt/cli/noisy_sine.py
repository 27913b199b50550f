"""`bptt lab noisy-sine`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bptt.cli.apps import lab
from bptt.cli.options import Json, Notation, Out, Quiet, Seed, Seeds
from bptt.cli.run_lab import check_notation, run_lab
from bptt.errors import InvalidInput

if TYPE_CHECKING:
    from bptt.labs.outcome import Notify, Outcome

Full = Annotated[
    bool, typer.Option("--full", help="3000 epochs, as the lecture's last script: several minutes.")
]
Quick = Annotated[
    bool, typer.Option("--quick", help="90 neurons, 40 epochs: to look at the report, not to judge by.")
]


@lab.command("noisy-sine")
def noisy_sine(
    seed: Seed = 0,
    seeds: Seeds = 3,
    full: Full = False,
    quick: Quick = False,
    out: Out = Path("bptt-noisy-sine"),
    json_to: Json = None,
    quiet: Quiet = False,
    notation: Notation = "ours",
) -> None:
    """Fit one noisy sine with a lecture's program: as printed, corrected, and as one would train it.

    Follows "Recurrent Neural Networks - from Scratch" (800 neurons, an output at every step, SGD with momentum and
    decay). Ends with the configurations side by side, applies the networks to a series of other spacing, and writes
    report.html, pictures, result.json and two networks into a folder.
    """
    if full and quick:
        raise InvalidInput("--full and --quick must not be given together. Got both: choose one")
    check_notation("noisy-sine", notation)

    def work(notify: Notify) -> Outcome:
        from bptt.labs.noisy_sine.report import make_outcome
        from bptt.labs.noisy_sine.study import FULL, QUICK, run

        sizes = FULL if full else QUICK if quick else None
        return make_outcome(run(seed=seed, seeds=seeds, sizes=sizes, notify=notify), notation)

    words = ["bptt", "lab", "noisy-sine", "--seed", str(seed), "--seeds", str(seeds)]
    words += ["--full"] if full else ["--quick"] if quick else []
    words += ["--notation", notation] if notation != "ours" else []
    run_lab(work, out=out, json_to=json_to, quiet=quiet, command=shlex.join(words))
