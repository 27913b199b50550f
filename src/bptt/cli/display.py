"""What a command shows a person: lines, one progress display and a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING

import typer

from bptt.cached import cached_property
from bptt.cli.notices import hush

if TYPE_CHECKING:
    from rich.console import Console

FILE_WIDTH = 140
# From one plain line of progress to the next at least, seconds.
PAUSE = 5.0


class Display:
    """Writes for people, to stdout or stderr.

    Parameters
    ----------
    quiet : bool
        Show only what `always` writes.
    to_stderr : bool
        Keep stdout free for a result that a program reads.
    """

    def __init__(self, *, quiet: bool, to_stderr: bool) -> None:
        self.quiet, self.to_stderr = quiet, to_stderr
        if quiet:
            hush()

    @cached_property
    def console(self) -> Console:
        """What rich writes to; loaded for the first line that may be seen."""
        from rich.console import Console

        console = Console(stderr=self.to_stderr, highlight=False)
        if console.is_terminal:
            return console
        # A file or a pipe has no width; the 80 that rich assumes would fold the tables.
        return Console(stderr=self.to_stderr, highlight=False, width=FILE_WIDTH)

    def line(self, text: str) -> None:
        """Write a line."""
        if not self.quiet:
            self.always(text)

    def always(self, text: str) -> None:
        """Write a line even when quiet; never wrapped, so that a path can be copied."""
        if self.quiet:  # rich would be loaded for this line alone
            typer.echo(text, err=self.to_stderr)
        else:
            self.console.print(text, markup=False, soft_wrap=True)

    def error(self, text: str) -> None:
        """Write a line for a failure to stderr, as every other error of the command."""
        typer.echo(f"bptt: {text}", err=True)

    def table(
        self, headers: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str | None = None
    ) -> None:
        """Write a table whose first column names the rows."""
        if self.quiet:
            return
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
        for k, header in enumerate(headers):
            # A name in one line, so that the rows stay as high as their numbers.
            table.add_column(header, justify="left" if k == 0 else "right", overflow="fold", no_wrap=k == 0)
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    @contextmanager
    def progress(self, *, lines: bool = True) -> Iterator[Callable[[str, int, int], None]]:
        """Yield what to call with (title, done, total), which draws a bar a title on a terminal.

        Elsewhere there is a line a title done; without `lines`, where the command says itself what is done, one on
        stderr now and then.
        """
        if self.quiet:
            yield lambda _title, _done, _total: None
            return
        if not lines and not self.console.is_terminal:
            yield _now_and_then()
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TaskID,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        bars: dict[str, TaskID] = {}
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal) as bar:

            def notify(title: str, done: int, total: int) -> None:
                if title not in bars:
                    bars[title] = bar.add_task(title, total=total)
                bar.update(bars[title], completed=done)
                if done == total and bar.disable:
                    self.always(f"  {title}: {total:,} step{'' if total == 1 else 's'} done")

            yield notify


def _now_and_then() -> Callable[[str, int, int], None]:
    """Return what writes how far a long work is, for whoever waits at a pipe or reads a log."""
    began = told = monotonic()

    def notify(title: str, done: int, total: int) -> None:
        nonlocal told
        now = monotonic()
        if done < total and now - told >= PAUSE:
            told = now
            with suppress(OSError):  # a reader who has left has had enough; the work goes on
                typer.echo(f"  {title}: {100 * done // total} % in {now - began:.0f} s", err=True)

    return notify
