"""A log that a spreadsheet opens: one line a step."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TextIO

from bptt.errors import FileMissing, InvalidInput
from bptt.training.watching.callbacks import Event
from bptt.training.watching.history import History

COLUMNS = ("step", "loss", "gradient_norm", "learning_rate", "validation_loss")
_HEADER = ",".join(COLUMNS) + "\n"


class CSVLog:
    """A callback that writes a line a step to a CSV file.

    Parameters
    ----------
    path : str or path
        In a folder that exists. Each run starts the file anew; one that goes on from a checkpoint goes on with the
        file, after the lines of the steps that the checkpoint has seen.

    Raises
    ------
    FileMissing
        No such folder.
    InvalidInput
        At the step at which the file cannot be written.

    Notes
    -----
    Columns: step (the update, counted from 0), loss, gradient_norm, learning_rate, validation_loss (empty where the
    step was not evaluated). Numbers are written in full and read back to the same bits. Every line is on its way to
    the disk before the next step begins.
    """

    looks_at_net = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise FileMissing(
                f"path must lie in a folder that exists. Got {os.fspath(path)!r}: "
                f"make the folder {str(self.path.parent)!r} first"
            )
        self._file: TextIO | None = None

    def __call__(self, event: Event) -> None:
        """Write one line."""
        file = self._file or self._start(event.step)
        validation = "" if event.validation_loss is None else repr(event.validation_loss)
        numbers = (event.loss, event.gradient_norm, event.learning_rate)
        try:
            file.write(",".join([str(event.step), *map(repr, numbers), validation]) + "\n")
            file.flush()
        except OSError as error:
            raise self._refused(error) from error

    def finish(self, history: History) -> None:  # noqa: ARG002  # every step is in the file already
        """Close the file."""
        if self._file is not None:
            # Every line was flushed, or the run has ended by it.
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _start(self, step: int) -> TextIO:
        try:
            end = self._end_of(step) if step and self.path.is_file() else 0
            if end:
                os.truncate(self.path, end)
            self._file = self.path.open("a" if end else "w", encoding="ascii", newline="")
        except OSError as error:
            raise self._refused(error) from error
        if not end:
            self._file.write(_HEADER)
        return self._file

    def _refused(self, error: OSError) -> InvalidInput:
        return InvalidInput(f"path must be writable. Got {str(self.path)!r}: {error.strerror or error}")

    def _end_of(self, step: int) -> int:
        """Return how many bytes the steps before `step` take; 0 for a file that is no log of ours."""
        with self.path.open("rb") as file:
            first = file.readline()
            if first != _HEADER.encode():
                return 0
            end = len(first)
            for line in file:
                number = line.split(b",")[0]
                # What a killed run was writing has no end; what it had written past the checkpoint is made again.
                if not line.endswith(b"\n") or not number.isdigit() or int(number) >= step:
                    break
                end += len(line)
        return end
