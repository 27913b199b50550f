"""A fit in the middle, as one file: the networks that it has trained, in the container of the model files."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from bptt.atomic import clear_parts
from bptt.checks import Array
from bptt.engine import get_engine
from bptt.errors import BpttError, FileFormatError, FileMissing
from bptt.files.description import check_checkpoint
from bptt.files.model import DTYPES, Header, read_arrays, read_header, write_model
from bptt.forecast.asking import Asked
from bptt.forecast.fitting.networks.learnt import Learnt
from bptt.forecast.fitting.shelf import Shelf
from bptt.forecast.panel import Panel
from bptt.training.checkpoints.data_digests import digest
from bptt.training.checkpoints.place import choose_place, is_same_file
from bptt.training.checkpoints.resuming import check_same, warn_of_versions
from bptt.training.checkpoints.run_identity import plain, versions
from bptt.training.checkpoints.termination import hear_termination

FORMAT, VERSION, KIND = "bptt", 1, "fit"
_WHAT = "checkpoint that Forecaster.fit wrote"
# Within the name of an array: the job, the number of its network, and which of its arrays.
_ROWS, _WEIGHTS = "rows", "weights."
# One write takes at most so large a part of the time.
_TIMES = 50
# More networks than any job trains.
_NUMBERS = frozenset(map(str, range(1000)))
_BEGIN = ": delete the file to begin anew"

_log = logging.getLogger("bptt.forecast")

Resume = bool | str | os.PathLike[str]


def describe_fit(panel: Panel, asked: Asked, **others: object) -> dict[str, Any]:
    """Return what decides the bits of a fit, as plain JSON values.

    Parameters
    ----------
    panel : Panel
    asked : Asked
    others
        What else the work depends on, as the share that a test keeps aside.
    """
    return {
        "data": {
            "target": panel.target,
            "past": list(panel.past),
            "future": list(panel.future),
            "static": list(panel.static),
            "step": str(panel.step),
            "series": len(panel),
            "rows": sum(map(len, panel)),
            "values": digest(_arrays_of(panel)),
        },
        "horizon": asked.horizon,
        "recipe": asked.recipe.to_config(),
        "calendar": plain(asked.calendar),
        "seed": asked.seed,
        "search": asked.search,
        "engine": get_engine("auto").NAME,
        **others,
    }


def _arrays_of(panel: Panel) -> Iterator[Array]:
    yield np.frombuffer(json.dumps([line.id for line in panel]).encode(), np.uint8)
    for line in panel:
        yield from (line.times, line.local, line.y, line.past, line.future, line.static)


class FitFile:
    """The checkpoint of one fit.

    Parameters
    ----------
    path : str
    identity : dict
        From `describe_fit`.
    known : dict
        The networks so far; whoever adds to it says so by `keep`.
    """

    def __init__(self, path: str, identity: Mapping[str, Any], known: dict[str, tuple[Learnt, ...]]) -> None:
        self.path, self.identity, self.known = path, identity, known
        self._lock = threading.Lock()
        self._next, self._written = 0.0, -1

    def keep(self, name: str, learnt: tuple[Learnt, ...]) -> None:
        """Take note of what a job has trained, and write it unless that was done a moment ago; from any thread."""
        if not all(np.isfinite(a).all() for each in learnt for a in (each.rows, *each.weights.values())):
            del self.known[name]  # nothing that may be gone on from
        elif time.monotonic() >= self._next:
            self.save()

    def save(self, *, ended: bool = False) -> None:
        """Write the file; where that fails the old one stays and a warning is logged."""
        with self._lock:
            if self._written == len(self.known) and not ended:
                return
            try:
                self.write(ended=ended)
            except (OSError, MemoryError, BpttError) as error:
                self._next = time.monotonic() + 60.0
                _log.warning("checkpoint not written, the one before it is kept: %s", error)

    def write(self, *, ended: bool = False) -> None:
        """Write the file, whole or not at all; raises as `bptt.files.model.write_model` does."""
        begun, known = time.monotonic(), dict(self.known)
        arrays: dict[str, Array] = {}
        for name, nets in known.items():
            for k, each in enumerate(nets):
                arrays[f"{name}/{k}/{_ROWS}"] = each.rows
                arrays |= {f"{name}/{k}/{_WEIGHTS}{key}": array for key, array in each.weights.items()}
        description = {
            "format": FORMAT,
            "version": VERSION,
            "kind": KIND,
            "config": self.identity,
            "extra": {"ended": ended, "versions": versions()},
        }
        write_model(self.path, arrays, description)
        self._written = len(known)
        self._next = time.monotonic() + _TIMES * (time.monotonic() - begun)

    @property
    def networks(self) -> int:
        """Networks that are kept."""
        return sum(map(len, self.known.values()))


@contextmanager
def kept_fit(
    checkpoint: str | os.PathLike[str] | Shelf | None, resume: Resume, identity: Mapping[str, Any]
) -> Iterator[Shelf | None]:
    """Give the shelf of a fit whose networks are kept in a file; None where nothing is to be kept or gone on from.

    The file is written when it begins, as networks are trained, and at the end, also where that is an error, Ctrl-C or
    SIGTERM, which is then passed on.

    Parameters
    ----------
    checkpoint : path, Shelf or None
        A shelf is given back: whoever opened it keeps its file.
    resume : bool or path
        As in `bptt.train`.
    identity : dict
        From `describe_fit`.

    Raises
    ------
    InvalidInput, InvalidType
        Settings that do not go together; a file that cannot be written, or that would be lost.
    FileMissing, FileFormatError
        The file to go on from is missing, damaged, or of another fit.
    """
    if isinstance(checkpoint, Shelf):
        yield checkpoint
        return
    place = choose_place(checkpoint, resume, example="fit.ckpt", opened=_checked, unfinished=_unfinished)
    target, source = place
    if target is None and source is None:
        yield None
        return
    known = {} if source is None else _read(source, identity)
    if target is None:
        yield Shelf(known)
        return
    file = FitFile(target, identity, known)
    clear_parts(target)
    if source is None or not is_same_file(source, target):
        file.write()  # what keeps it from being written is found out before the work
    with hear_termination(wanted=True) as termination:
        try:
            yield Shelf(known, file.keep)
        except BaseException:
            file.save()
            if termination.heard and termination.fatal:
                _log.warning(
                    "terminated after %d networks: go on with resume=True (%s)", file.networks, target
                )
            raise
        file.save(ended=True)


def count_kept(path: str | os.PathLike[str]) -> int:
    """Return how many networks a checkpoint of a fit holds; 0 where there is none that can be read."""
    try:
        return sum(name.endswith(f"/{_ROWS}") for name in _open(os.fsdecode(path)).arrays)
    except (FileFormatError, FileMissing):
        return 0


def _checked(name: str) -> str:
    """Return the name of a file that is a checkpoint of a fit; its networks are read when the fit is known."""
    _open(name)
    return name


def _unfinished(name: str) -> str:
    header = _open(name)
    return "a fit that was interrupted" if header.arrays and not header.description["extra"]["ended"] else ""


# ---------------------------------------------------------------- what a file says, checked before its arrays are read


def _open(name: str) -> Header:
    """Read and check everything but the arrays."""
    header = read_header(name, _WHAT)
    extra = check_checkpoint(name, header, written=(FORMAT, VERSION, KIND), what=_WHAT)
    if type(extra.get("ended")) is not bool or not isinstance(extra.get("versions"), dict):
        raise FileFormatError(
            f"{name}: ended must be true or false, versions a dictionary. Got something else"
        )
    _shapes(name, header)
    return header


def _shapes(name: str, header: Header) -> dict[tuple[str, int], list[str]]:
    """Return the arrays of each network, by the name of its job and its number; refuse those that belong to none."""
    found: dict[tuple[str, int], list[str]] = {}
    for key, (dtype, shape) in header.arrays.items():
        job, number, what = (*key.split("/", 2), "", "")[:3]
        rows = what == _ROWS and len(shape) == 2 and shape[1] in (1, 3) and dtype == DTYPES["F64"]
        if not (rows or (what.startswith(_WEIGHTS) and shape)) or number not in _NUMBERS:
            raise FileFormatError(f"{name} must hold only arrays of networks. Got {key!r:.60}")
        found.setdefault((job, int(number)), []).append(what)
    for (job, place), names in found.items():
        if _ROWS not in names or len(names) < 2 or (place and (job, place - 1) not in found):
            raise FileFormatError(
                f"{name} must hold rows and weights of every network. Got {', '.join(names)!r:.60} of {job!r:.40}"
            )
    return found


def _read(name: str, identity: Mapping[str, Any]) -> dict[str, tuple[Learnt, ...]]:
    """Return the networks of a file, if it is of this fit; its arrays are read last."""
    header = _open(name)
    check_same(name, header.description["config"], identity, _BEGIN)
    kept = {str(part): str(number) for part, number in header.description["extra"]["versions"].items()}
    warn_of_versions(name, kept)
    shapes = _shapes(name, header)
    arrays = read_arrays(name, header)
    found: dict[str, tuple[Learnt, ...]] = {}
    for job, number in sorted(shapes):
        prefix = f"{job}/{number}/"
        weights = {
            what.removeprefix(_WEIGHTS): arrays[prefix + what]
            for what in shapes[job, number]
            if what != _ROWS
        }
        found[job] = (*found.get(job, ()), Learnt(weights, arrays[prefix + _ROWS]))
    return found
