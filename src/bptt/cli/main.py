"""Entry point: how an error or a signal reaches its reader (one line, and an exit status)."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any

import typer

# Imported for the registration of their commands, in the order of the help page.
from bptt.cli import (  # noqa: F401  # importing a command registers it
    addition,
    backtest,
    check,
    demo,
    fit,
    gradcheck,
    gradients,
    inspect,
    noisy_sine,
    predict,
    sine,
    weather,
)
from bptt.cli.apps import INTERRUPTED, app
from bptt.cli.collector import collect_seldom
from bptt.cli.mistakes import in_one_line, is_bare, is_usage_error
from bptt.cli.notices import show_notices
from bptt.errors import BpttError, DivergedError, GradientError
from bptt.interruptions import Interrupted, count_imports, is_put_off, none_is_lost

# What went wrong in the input: 2, as for a wrong option. What went wrong in the work: 1.
_INPUT, _WORK = 2, 1
# After SIGTERM, as shells have it.
_TERMINATED = 143


def main() -> None:
    """Run the command line; never show a traceback for a mistake in the input."""
    show_notices()
    command = typer.main.get_command(app)
    with collect_seldom(), _hear_signals() as heard, none_is_lost():
        try:
            # Not app(): it tells of a mistake on the command line in a box, and swallows an interruption.
            with command.make_context("bptt", sys.argv[1:]) as context:
                command.invoke(context)
        except typer.Exit as end:
            sys.exit(_stopped(heard, said=True) if end.exit_code == INTERRUPTED else end.exit_code)
        except BpttError as error:
            status = _WORK if isinstance(error, (DivergedError, GradientError)) else _INPUT
            sys.exit(_refuse(str(error), status))
        except KeyboardInterrupt:
            sys.exit(_stopped(heard, said=False))
        except BrokenPipeError:
            # The reader (`head`) has what it wanted; Python would complain once more when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(_WORK)
        except Exception as error:
            if not is_usage_error(error):
                raise
            if is_bare(error):
                sys.exit(_INPUT)
            sys.exit(_refuse(in_one_line(error, sys.argv[1:]), _INPUT))


@contextmanager
def _hear_signals() -> Iterator[list[int]]:
    """Let SIGTERM end the command as Ctrl-C does; yield a list that it is noted in."""
    heard: list[int] = []
    owner, outside = os.getpid(), count_imports()
    before: dict[int, Any] = {}

    def hear(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker ends as it would without us
            signal.signal(number, before[number])
            signal.raise_signal(number)
        elif not is_put_off(number, frame, outside):
            if number == signal.SIGTERM:
                heard.append(number)
            raise Interrupted(number)

    # A signal that whoever started us ignores stays ignored.
    if threading.current_thread() is threading.main_thread():
        for each in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(each) in (signal.SIG_DFL, signal.default_int_handler):
                before[each] = signal.signal(each, hear)
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopped(heard: list[int], *, said: bool) -> int:
    """Say by what the command was stopped, unless it has said so itself; return the exit status."""
    if not said:
        _refuse("terminated" if heard else "interrupted", INTERRUPTED)
    # An interruption inside code that was compiled from text, a dataclass being made in a late import, leaves a mark
    # on `python -m`: it would end by the signal, whatever the status. The next such code wipes it off.
    exec("")  # noqa: S102  # an empty text
    return _TERMINATED if heard else INTERRUPTED


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
