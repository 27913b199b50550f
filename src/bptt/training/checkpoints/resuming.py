"""Whether a run may go on from a checkpoint: it must be the same run, and the file must hold what it says."""

from __future__ import annotations

import logging
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.errors import FileFormatError
from bptt.training.checkpoints.file import Checkpoint, Sealed
from bptt.training.checkpoints.run_identity import differences, versions

# Of a value in a message.
_LONGEST = 60
# What a file says may be nested as deep, and be as long, as whoever wrote it liked.
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 4
_SHORT.maxdict = _SHORT.maxlist = 20
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = _LONGEST

_log = logging.getLogger("bptt.training")

Entries = Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]


def check_same_run(kept: Sealed, run: Mapping[str, object], total: int) -> None:
    """Refuse to go on with another run than the one that was kept: the message names what differs.

    Raises
    ------
    FileFormatError
    """
    name = kept.path
    check_same(name, kept.run, run)
    if kept.step > total:
        raise FileFormatError(
            f"steps must be at least the {kept.step} that {name} has made. Got {total}: ask for as many as before"
        )
    warn_of_versions(name, kept.versions)


def check_same(name: str, kept: Mapping[str, object], run: Mapping[str, object], remedy: str = "") -> None:
    """Refuse a description that is not the one in the file of that name: the message says what differs.

    Raises
    ------
    FileFormatError
    """
    found = list(differences(kept, run))
    if found:
        what, old, new = found[0]
        what = _title(what)
        more = f"; also {', '.join(_title(each) for each, _, _ in found[1:4])}" if found[1:] else ""
        more += f" and {len(found) - 4} more" if found[4:] else ""
        if _is_digest(old) and _is_digest(new):
            raise FileFormatError(
                f"{what} must be as in {name}, for the run to go on to the bit. Got other values{more}{remedy}"
            )
        raise FileFormatError(
            f"{what} must be {_short(old)} as in {name}, for the run to go on to the bit. "
            f"Got {_short(new)}{more}{remedy}"
        )


def warn_of_versions(name: str, kept: Mapping[str, str]) -> None:
    """Log a warning where a file comes from another machine or version."""
    if kept != versions():
        part, old, new = next(differences(kept, versions()))
        _log.warning(
            "%s was written with %s %s, this is %s: the last bits may differ from those of one whole run",
            name, _title(part), _title(str(old)), new,
        )  # fmt: skip


def check_arrays(kept: Sealed, wanted: Mapping[str, Mapping[str, Array]]) -> None:
    """Refuse a file whose arrays are not those of the run, before they are read.

    Parameters
    ----------
    wanted : mapping of group to mapping of name to ndarray
        Of "weights", "slots", "carried" and "recorded": arrays of the right shapes and dtypes. There may be none in
        "carried"; those of "recorded" have any number of rows.

    Raises
    ------
    FileFormatError
    """
    for group, arrays in wanted.items():
        found = kept.entries(group)
        if group == "carried" and not found:
            continue
        rows = _looks(kept) if group == "recorded" and arrays else None
        for key in (*arrays, *found):
            right = None
            if key in arrays:
                shape = arrays[key].shape
                right = arrays[key].dtype, (rows, *shape[1:]) if rows is not None else shape
            if found.get(key) != right:
                raise FileFormatError(
                    f"{kept.path}: {group} must be those of its run, {key} {_seen(right)}. Got {_seen(found.get(key))}"
                )


def check_looks(path: str, kept: Checkpoint, total: int, every: int, looks_every: int) -> None:
    """Refuse more steps where the kept run looked at something only because it was at its end.

    Parameters
    ----------
    every, looks_every : int
        Steps between evaluations, and between what is recorded.

    Raises
    ------
    FileFormatError
    """
    seen: tuple[tuple[int, Iterable[Any]], ...] = (
        (every, [at for at, _ in kept.validation]),
        (looks_every, kept.recorded.get("steps", ())),
    )
    for spacing, steps in seen:
        odd = next((int(at) for at in steps if at % spacing and at != total), None)
        if odd is not None:
            raise FileFormatError(
                f"steps must be {odd} as in {path}, whose last step was looked at, not being a multiple of {spacing}. "
                f"Got {total}"
            )


def _looks(kept: Sealed) -> int:
    """Return how often the kept run looked at what it records."""
    _, shape = kept.entries("recorded").get("steps", (None, ()))
    if len(shape) != 1 or shape[0] > kept.step + 1:
        raise FileFormatError(
            f"{kept.path}: recorded.steps must have shape (looks,), at most one a step. Got {shape}"
        )
    return shape[0]


def _seen(entry: tuple[np.dtype[Any], tuple[int, ...]] | None) -> str:
    return "none" if entry is None else f"{entry[0]} of shape {entry[1]}"


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value.removeprefix("sha256 ")) == 64


def _short(value: object, levels: int = 3) -> str:
    if isinstance(value, Mapping) and isinstance(value.get("class"), str) and levels:
        fields = ", ".join(
            f"{name}={_short(each, levels - 1)}" for name, each in value.items() if name != "class"
        )
        text = f"{value['class']}({fields})"
    else:
        text = _SHORT.repr(value)
    return _title(text)


def _title(text: str) -> str:
    """Return one line, cut where it is long."""
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
