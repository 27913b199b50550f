"""The option that turns a lab's command into the one that hands out its exercise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Exercise = Annotated[
    Path | None,
    typer.Option(
        "--exercise",
        help="Write the lab's exercise into this folder (script, notebook, tests) instead of running the lab.",
    ),
]


def write_exercise(lab: str, folder: Path) -> None:
    """Write the exercise and say what to do with it."""
    from bptt.labs.exercises import hand_out

    script, notebook, tests = hand_out(lab, folder)
    for path, what in ((script, "script"), (notebook, "notebook"), (tests, "tests")):
        typer.echo(f"{what}: {path}")
    typer.echo(f"fill in the holes of the script or of the notebook, then: bptt check {script}")
