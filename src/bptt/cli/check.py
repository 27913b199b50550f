"""`bptt check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bptt.cli.apps import app
from bptt.errors import GradientError


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Script (*.py) or notebook (*.ipynb).")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the random problems.")] = 0,
    seconds: Annotated[float, typer.Option("--seconds", help="How long the file may run altogether.")] = 20.0,
) -> None:
    """Grade a filled-in exercise: every function on random problems, beside ours, with the likeliest mistake named.

    FILE is what `bptt lab weather --exercise DIR` (or sine, or addition) wrote. Its code is run, in a process of its
    own. The exit status is 1 if any function is wrong or not filled in.
    """
    from bptt.labs.exercises import grade

    result = grade(file, seed=seed, seconds=seconds)
    typer.echo(str(result))
    if not result.passed:
        wrong = [name for name in result.functions if name not in result.right]
        raise GradientError(
            f"{file} must have all {len(result.functions)} functions right. Got {len(wrong)} that are not: "
            f"first {wrong[0]}"
        )
