"""A progress bar on the terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from bptt.checks import check_whole
from bptt.errors import InvalidType
from bptt.training.watching.callbacks import Callback, Event
from bptt.training.watching.history import History

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SECONDS_BETWEEN_DRAWINGS = 0.1


class ProgressBar:
    """A callback that draws a bar with loss, validation loss and remaining time on stderr.

    Parameters
    ----------
    title : str
        In front of the bar; may be changed between runs.
    runs : int
        Calls of `train` that the bar spans: it closes when the last one ends, or one was interrupted or failed.

    Notes
    -----
    The bar belongs to no result: where it cannot be drawn (stderr closed, a pipe broken), training goes on without.
    """

    looks_at_net = False

    def __init__(self, title: str = "training", runs: int = 1) -> None:
        self.title = title
        self.runs = check_whole("runs", runs)
        self._done = 0
        self._drawn = -_SECONDS_BETWEEN_DRAWINGS
        self._validation = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._broken = False

    def __call__(self, event: Event) -> None:
        """Draw, ten times a second at most."""
        if event.validation_loss is not None:
            self._validation = f"validation {event.validation_loss:.4g}"
        made = event.step + 1
        now = time.monotonic()
        if now - self._drawn < _SECONDS_BETWEEN_DRAWINGS and made < event.total_steps:
            return
        self._drawn = now
        self._draw(
            completed=self._done + made / event.total_steps,
            steps=f"{made:,}/{event.total_steps:,}",
            loss=f"loss {event.loss:.4g}",
        )

    def finish(self, history: History) -> None:
        """Close the bar after its last run."""
        self._done += 1
        self._validation = ""
        ended_well = history.stopped_because in ("finished", "early stopping")
        if ended_well and self._done < self.runs:
            return
        if self._bar is not None:
            try:
                self._bar.stop()
            except (OSError, ValueError):
                self._broken = True
            self._bar = None
        self._done = 0

    def _draw(self, *, completed: float, steps: str, loss: str) -> None:
        if self._broken:
            return
        run = f" {self._done + 1}/{self.runs}" if self.runs > 1 else ""
        fields: dict[str, Any] = {"steps": steps, "loss": loss, "validation": self._validation}
        try:
            if self._bar is None:
                self._bar = _make_bar()
                self._task = self._bar.add_task("", total=self.runs, title=self.title, **fields)
                self._bar.start()
            assert self._task is not None
            self._bar.update(self._task, completed=completed, title=f"{self.title}{run}", **fields)
            self._bar.refresh()
        except (OSError, ValueError):  # ValueError: writing to a closed file
            self._broken = True


def get_progress(progress: bool | Callback | None) -> tuple[Callback, ...]:
    """Return the callbacks that `train(progress=...)` asks for: none, a bar, or the one given."""
    if progress is None:
        return (ProgressBar(),) if _is_terminal() else ()
    if isinstance(progress, bool):
        return (ProgressBar(),) if progress else ()
    if not callable(progress):
        raise InvalidType(f"progress must be None, True, False or a callback. Got {progress!r}")
    return (progress,)


def _is_terminal() -> bool:
    try:
        # A program without a console has no stderr at all.
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False


def _make_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    class BarConsole(Console):
        def on_broken_pipe(self) -> None:
            # Rich's own answer is to silence stdout and to end the program.
            raise BrokenPipeError

    return Progress(
        TextColumn("{task.fields[title]}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[steps]}", markup=False),
        TextColumn("{task.fields[loss]}", markup=False),
        TextColumn("{task.fields[validation]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=BarConsole(stderr=True),
        # No thread beside the training; the bar is drawn when a step says so.
        auto_refresh=False,
    )
