"""What every lab's command does around its run: checks first, progress, the table, the folder, the JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bptt.cli.apps import INTERRUPTED
from bptt.errors import InvalidInput

if TYPE_CHECKING:
    from bptt.labs.outcome import Notify, Outcome


def run_lab(
    run: Callable[[Notify], Outcome], *, out: Path, json_to: Path | None, quiet: bool, command: str
) -> Path:
    """Run a lab and show its outcome; return the report's path.

    Parameters
    ----------
    run : callable
        Takes what to tell of progress, returns the outcome.
    command : str
        What makes these numbers again.
    """
    from bptt.cli.display import Display
    from bptt.labs.outcome import as_json, make_folder, write_outcome
    from bptt.plots import preload

    # With JSON on stdout, everything for people goes to stderr.
    display = Display(quiet=quiet, to_stderr=str(json_to) == "-")
    check_json(json_to)
    make_folder(out)
    preload()
    try:
        with display.progress() as notify:
            outcome = run(notify)
    except KeyboardInterrupt:
        # The command's own parser would swallow it without a word.
        display.error("interrupted: the table needs every run, so nothing was written")
        raise typer.Exit(INTERRUPTED) from None
    display.table(outcome.table.headers, outcome.table.rows, caption=outcome.table.caption)
    if outcome.note:
        display.line(outcome.note)
    for sentence in outcome.verdicts:
        display.line(sentence)
    if outcome.doctor:
        display.line(outcome.doctor)
    report = write_outcome(outcome, out, command)
    write_json(json.dumps(as_json(outcome), indent=2), json_to)
    display.always(f"report: {report}")
    return report


def check_notation(lab: str, notation: str) -> None:
    """Refuse letters that there are none of before the work, not after it."""
    from bptt.labs.letters import get_letters

    get_letters(lab, notation)


def check_json(path: Path | None) -> None:
    """Refuse a place that cannot be written before the work, not after it."""
    if path is None or str(path) == "-":
        return
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InvalidInput(f"--json must name a file in a folder that can be written. Got {path}")


def write_json(text: str, path: Path | None) -> None:
    """Write to a file, to stdout for -, or nowhere."""
    from bptt.atomic import write_atomic

    if str(path) == "-":
        typer.echo(text)
    elif path is not None:
        write_atomic(path, (text + "\n").encode())
