"""Entry point: how an error reaches its reader (one line, and an exit status)."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

# Imported for the registration of their commands, in the order of the help page.
from bptt.cli import addition, check, demo, gradcheck, gradients, noisy_sine, sine, weather  # noqa: F401
from bptt.cli.apps import INTERRUPTED, app
from bptt.cli.notices import show_notices
from bptt.errors import BpttError, DivergedError, GradientError

# What went wrong in the input: 2, as for a wrong option. What went wrong in the work: 1.
_INPUT, _WORK = 2, 1


def main() -> None:
    """Run the command line; never show a traceback for a mistake in the input."""
    show_notices()
    try:
        app()
    except BpttError as error:
        sys.exit(_refuse(str(error), _WORK if isinstance(error, (DivergedError, GradientError)) else _INPUT))
    except KeyboardInterrupt:
        sys.exit(_refuse("interrupted", INTERRUPTED))
    except BrokenPipeError:
        # The reader (`head`) has what it wanted; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_WORK)


def _print_version(wanted: bool) -> None:
    if wanted:
        from bptt.report.versions import describe

        typer.echo(describe())
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the versions of what a result depends on.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
) -> None:
    pass


def _refuse(message: str, status: int) -> int:
    typer.echo(f"bptt: {message}", err=True)
    return status
