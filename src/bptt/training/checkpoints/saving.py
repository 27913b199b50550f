"""When a run writes its checkpoints, and what becomes of one that cannot be written."""

from __future__ import annotations

import logging
import os
import sys
import time

import numpy as np

from bptt.atomic import clear_parts
from bptt.errors import InvalidInput
from bptt.training.checkpoints.file import Checkpoint, Sealed, can_hold, open_checkpoint, write_checkpoint
from bptt.training.checkpoints.place import choose_place

# Without `checkpoint_every`: seconds from one checkpoint to the next, and at least so many times what one takes.
_SECONDS = 60.0
_TIMES = 50


_log = logging.getLogger("bptt.training")


class Saver:
    """The checkpoints of one run.

    Parameters
    ----------
    path : str
    every : int or None
        Steps between two; None goes by time.
    """

    def __init__(self, path: str, every: int | None) -> None:
        self.path, self.every = path, every
        self._written: object = None
        self._next = time.monotonic() + _SECONDS

    def room(self, made: int) -> int:
        """Return how many steps there are until the next checkpoint; where the clock tells, any number."""
        return sys.maxsize if self.every is None else self.every - made % self.every

    def is_due(self, made: int) -> bool:
        """Return whether one is to be written after `made` steps."""
        return time.monotonic() >= self._next if self.every is None else made % self.every == 0

    def begin(self, kept: Checkpoint) -> None:
        """Write the first one: what keeps it from being written is raised before any work is done."""
        held = {**kept.weights, **kept.slots, **kept.carried}
        if not can_hold(held):
            raise InvalidInput(
                "checkpoint must be of float32 and float64 arrays. Got another dtype among the optimiser's slots"
            )
        clear_parts(self.path)
        self._write(kept)

    def skip(self, kept: Checkpoint) -> None:
        """Take note that the file holds this already."""
        clear_parts(self.path)
        self._written = _mark(kept)

    def save(self, kept: Checkpoint) -> None:
        """Write one; where that fails the old one stays, a warning is logged, and the run goes on."""
        if self._written == _mark(kept) or not all(np.isfinite(p).all() for p in kept.weights.values()):
            # The same again, or weights that the next step will find lost: the last good ones stay.
            return
        try:
            self._write(kept)
        except (OSError, MemoryError, InvalidInput) as error:
            self._next = time.monotonic() + _SECONDS
            _log.warning("checkpoint of step %d not written, the one before it is kept: %s", kept.step, error)

    def _write(self, kept: Checkpoint) -> None:
        begun = time.monotonic()
        write_checkpoint(self.path, kept)
        now = time.monotonic()
        self._written = _mark(kept)
        self._next = now + max(_SECONDS, _TIMES * (now - begun))


def _mark(kept: Checkpoint) -> object:
    """Return what differs between two checkpoints of one run."""
    return kept.step, kept.told, len(kept.validation), kept.best.seen, kept.ended


def find_checkpoints(
    checkpoint: str | os.PathLike[str] | None,
    checkpoint_every: int | None,
    resume: bool | str | os.PathLike[str],
) -> tuple[str | None, Sealed | None]:
    """Return where to write, and what to go on from.

    Raises
    ------
    InvalidInput, InvalidType
        Settings that do not go together; a file at `checkpoint` that would be lost.
    FileMissing, FileFormatError
        The file to go on from is missing or damaged.
    """
    if checkpoint is None and checkpoint_every is not None:
        raise InvalidInput(
            "checkpoint_every must come with a checkpoint. Got none: pass checkpoint='run.ckpt'"
        )
    return choose_place(
        checkpoint, resume, example="run.ckpt", opened=open_checkpoint, unfinished=_unfinished
    )


def _unfinished(kept: Sealed) -> str:
    return f"a run stopped at step {kept.step}" if kept.step and not kept.ended else ""
