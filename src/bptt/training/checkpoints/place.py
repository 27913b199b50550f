"""Which file a checkpoint goes to and which is gone on from: of a run of `train` and of a fit alike."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bptt.errors import FileFormatError, FileMissing, InvalidInput, InvalidType

Opened = TypeVar("Opened")


def choose_place(
    checkpoint: str | os.PathLike[str] | None,
    resume: bool | str | os.PathLike[str],
    *,
    example: str,
    opened: Callable[[str], Opened],
    unfinished: Callable[[Opened], str],
) -> tuple[str | None, Opened | None]:
    """Return where to write, and what to go on from.

    Parameters
    ----------
    checkpoint, resume
        As they were given.
    example : str
        The name of a file in messages.
    opened : callable
        Reads and checks what a file says.
    unfinished : callable
        Says in words what would be lost with a file; "" where nothing would be.

    Raises
    ------
    InvalidInput, InvalidType
        Settings that do not go together; a file at `checkpoint` that would be lost.
    FileMissing, FileFormatError
        The file to go on from is missing or damaged.
    """
    target = None if checkpoint is None else _path("checkpoint", checkpoint)
    if not isinstance(resume, bool):
        name = _path("resume", resume)
        found = opened(name)
        if target is not None and Path(target).exists() and not is_same_file(target, name):
            _refuse_loss(target, opened, unfinished)
        return target, found
    if resume and target is None:
        raise InvalidInput(
            f"resume=True must come with a checkpoint. Got none: pass checkpoint='{example}', or resume='{example}'"
        )
    if target is None or not Path(target).exists():
        return target, None
    if resume:
        return target, opened(target)
    _refuse_loss(target, opened, unfinished)
    return target, None


def is_same_file(first: str, second: str) -> bool:
    """Return whether two paths lead to one file."""
    return os.path.realpath(first) == os.path.realpath(second)


def _path(what: str, path: object) -> str:
    if isinstance(path, bool) or not isinstance(path, (str, os.PathLike)):
        raise InvalidType(f"{what} must be text or a path. Got {path!r}")
    return os.fsdecode(path)


def _refuse_loss(target: str, opened: Callable[[str], Opened], unfinished: Callable[[Opened], str]) -> None:
    """Refuse to write over anything but a checkpoint of which nothing would be lost."""
    try:
        lost = unfinished(opened(target))
    except (FileFormatError, FileMissing):
        raise InvalidInput(
            f"checkpoint must name a new file, or a checkpoint to go on from. Got {target}: something else is there"
        ) from None
    if lost:
        raise InvalidInput(
            f"checkpoint must name a new file. Got {target}, {lost}: resume=True goes on with it, or delete the file "
            "to begin anew"
        )
