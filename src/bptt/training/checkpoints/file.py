"""A run in the middle, as one file: arrays and plain JSON values, in the container of the model files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bptt.brief import brief
from bptt.checks import Array
from bptt.errors import FileFormatError
from bptt.files.description import check_checkpoint
from bptt.files.model import DTYPES, Header, read_arrays, read_header, write_model
from bptt.training.watching.early_stopping import Best

# What a model file says of itself, too: either is told from the other by its kind.
FORMAT, VERSION, KIND = "bptt", 1, "checkpoint"

_WHAT = "checkpoint that bptt.train wrote"
# Groups of arrays. A user's own optimiser may remember any number, as may states that no target depends on.
_WEIGHTS, _BEFORE, _BEST = "weights.", "before.", "best."
_SLOTS, _CARRIED, _RECORDED = "slots.", "carried.", "recorded."
_ROWS, _VALIDATION = "history.rows", "history.validation"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training run after some of its steps.

    Attributes
    ----------
    step : int
        Updates made.
    weights : dict of str to ndarray
        Of the network, after these updates.
    before : dict of str to ndarray, or None
        Those before the last update, to which a run goes back that diverges; None where they are not known.
    slots : dict of str to ndarray
        What the optimiser remembers: see `bptt.optim.slot_arrays`.
    carried : dict of str to ndarray
        The state between two batches of a source of streams: ``state.h`` (L, B, H), ..., ``y_hat`` (B, K).
    recorded : dict of str to ndarray
        What was looked at for `History.recorded`.
    rows : ndarray (step, 3), float64
        Loss, gradient norm and learning rate of each step: see `History`.
    validation : tuple of (int, float)
        Updates made at each evaluation, and its loss.
    best : Best
        The state of early stopping, the best weights among it.
    told : int
        Steps that the callbacks know of.
    ended : bool
        Whether the run came to its end: all steps made, or early stopping.
    seconds : float
        Wall time so far.
    run : dict
        Data, network and settings: what a run that goes on must have in common.
    versions : dict of str to str
        Of bptt, NumPy and the machine that wrote it.
    """

    step: int
    weights: dict[str, Array]
    before: dict[str, Array] | None
    slots: dict[str, Array]
    carried: dict[str, Array]
    recorded: dict[str, Array]
    rows: Array
    validation: tuple[tuple[int, float], ...]
    best: Best
    told: int
    ended: bool
    seconds: float
    run: dict[str, Any]
    versions: dict[str, str]

    __repr__ = brief


def write_checkpoint(path: str | os.PathLike[str], kept: Checkpoint) -> Path:
    """Write a checkpoint, whole or not at all; raises as `bptt.files.model.write_model` does."""
    groups = {
        _WEIGHTS: kept.weights,
        _BEFORE: kept.before or {},
        _BEST: kept.best.weights or {},
        _SLOTS: kept.slots,
        _CARRIED: kept.carried,
        _RECORDED: kept.recorded,
    }
    arrays = {prefix + name: array for prefix, group in groups.items() for name, array in group.items()}
    arrays[_ROWS] = kept.rows
    # Steps as float64, which is exact for all that can be counted.
    arrays[_VALIDATION] = np.array(kept.validation, np.float64).reshape(-1, 2)
    best = kept.best
    description = {
        "format": FORMAT,
        "version": VERSION,
        "kind": KIND,
        "config": kept.run,
        "extra": {
            "step": kept.step,
            "told": kept.told,
            "ended": kept.ended,
            "seconds": kept.seconds,
            "best": {
                "step": best.step,
                "lowest": None if best.weights is None else float(best.lowest),
                "waited": best.waited,
                "seen": best.seen,
            },
            "versions": kept.versions,
        },
    }
    return write_model(path, arrays, description)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint that `bptt.train` wrote: to look at it, or to take its weights.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Checkpoint

    Raises
    ------
    FileMissing
        No such file.
    FileFormatError
        Not a checkpoint, a damaged one, or one of a newer version; the message says which.
    """
    return open_checkpoint(path).read()


@dataclass(frozen=True, eq=False)
class Sealed:
    """A checkpoint of which all but the arrays has been read and checked: what it is costs little to find out.

    Attributes
    ----------
    path : str
    header : Header
    best : dict
        The fields of `Best` but its weights.
    """

    path: str
    header: Header
    best: dict[str, Any]

    @property
    def step(self) -> int:
        """Updates made."""
        return int(self.header.description["extra"]["step"])

    @property
    def ended(self) -> bool:
        """Whether the run came to its end."""
        return bool(self.header.description["extra"]["ended"])

    @property
    def run(self) -> dict[str, Any]:
        """Data, network and settings."""
        config: dict[str, Any] = self.header.description["config"]
        return config

    @property
    def versions(self) -> dict[str, str]:
        """Of bptt, NumPy and the machine that wrote it."""
        return {
            str(each): str(number) for each, number in self.header.description["extra"]["versions"].items()
        }

    def entries(self, group: str) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
        """Return dtype and shape of the arrays of a group: "weights", "slots", "carried", "recorded"."""
        return _of(self.header, f"{group}.")

    def read(self) -> Checkpoint:
        """Read the arrays."""
        extra = self.header.description["extra"]
        arrays = read_arrays(self.path, self.header, may_be_infinite=(_SLOTS, _CARRIED, _RECORDED))
        _check_steps(self.path, _VALIDATION, arrays[_VALIDATION][:, 0], self.step)
        _check_steps(self.path, f"{_RECORDED}steps", arrays.get(f"{_RECORDED}steps", np.zeros(0)), self.step)

        def group(prefix: str) -> dict[str, Array]:
            return {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}

        return Checkpoint(
            step=self.step,
            weights=group(_WEIGHTS),
            before=group(_BEFORE) or None,
            slots=group(_SLOTS),
            carried=group(_CARRIED),
            recorded=group(_RECORDED),
            rows=arrays[_ROWS],
            validation=tuple((int(at), float(loss)) for at, loss in arrays[_VALIDATION]),
            best=Best(weights=group(_BEST), **self.best) if self.best["step"] is not None else Best(),
            told=extra["told"],
            ended=self.ended,
            seconds=extra["seconds"],
            run=self.run,
            versions=self.versions,
        )


def open_checkpoint(path: str | os.PathLike[str]) -> Sealed:
    """Read and check everything but the arrays; raises as `read_checkpoint` does."""
    header = read_header(path, _WHAT)
    name = os.fsdecode(path)
    return Sealed(name, header, _check(name, header))


def can_hold(arrays: Mapping[str, Array]) -> bool:
    """Return whether a checkpoint can hold these arrays: float32 or float64."""
    return all(array.dtype in DTYPES.values() for array in arrays.values())


# ---------------------------------------------------------------- what a file says, checked before its arrays are read


def _check(name: str, header: Header) -> dict[str, Any]:
    """Check everything but the numbers in the arrays; return the fields of `Best` but its weights."""
    extra = check_checkpoint(
        name,
        header,
        written=(FORMAT, VERSION, KIND),
        what=_WHAT,
        hint=": a model is loaded with bptt.load",
    )
    step, told = _whole(name, extra, "step"), _whole(name, extra, "told")
    for key, wanted in (("ended", bool), ("seconds", float), ("versions", dict)):
        if type(extra.get(key)) is not wanted:
            raise FileFormatError(f"{name}: {key} must be a {wanted.__name__}. Got {extra.get(key)!r:.40}")
    # Steps and losses in float64, or they would not be what they were.
    shapes = {key: shape for key, (dtype, shape) in header.arrays.items() if dtype == np.float64}
    if shapes.get(_ROWS) != (step, 3) or told > step:
        raise FileFormatError(
            f"{name}: {_ROWS} must have shape (step, 3) = ({step}, 3), told of {told}. Got {shapes.get(_ROWS)}"
        )
    evaluations = shapes.get(_VALIDATION, ())
    if len(evaluations) != 2 or evaluations[1] != 2 or evaluations[0] > step:
        raise FileFormatError(f"{name}: {_VALIDATION} must have shape (evaluations, 2). Got {evaluations}")
    groups = (_WEIGHTS, _BEFORE, _BEST, _SLOTS, _CARRIED, _RECORDED)
    for key in header.arrays:
        if key not in (_ROWS, _VALIDATION) and not key.startswith(groups):
            raise FileFormatError(f"{name} must hold only arrays of a run. Got {key!r:.40}")
    best = _best(name, extra.get("best"), evaluations[0])
    weights = _of(header, _WEIGHTS)
    for prefix in (_BEFORE, _BEST):
        found = _of(header, prefix)
        if found not in ({}, weights) or (prefix == _BEST and bool(found) != (best["step"] is not None)):
            raise FileFormatError(
                f"{name}: arrays {prefix}* must have names, dtypes and shapes of {_WEIGHTS}*. Got others"
            )
    return best


def _of(header: Header, prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): entry for key, entry in header.arrays.items() if key.startswith(prefix)}


def _whole(name: str, fields: Mapping[str, Any], key: str) -> int:
    value = fields.get(key)
    if type(value) is not int or not 0 <= value < 2**53:
        raise FileFormatError(f"{name}: {key} must be a whole number of at least 0. Got {value!r:.40}")
    return value


def _check_steps(name: str, title: str, steps: Array, made: int) -> None:
    """Refuse steps that nothing can have been seen at: whole ones, each once, up to those that were made."""
    right = steps.ndim == 1 and np.isfinite(steps).all() and (steps == np.floor(steps)).all()
    if not right or (len(steps) and (steps[0] < 0 or steps[-1] > made or (np.diff(steps) <= 0).any())):
        shown = np.array2string(steps.ravel()[-3:], max_line_width=200)
        raise FileFormatError(
            f"{name}: steps of {title} must be whole numbers of 0..{made}, increasing. Got ... {shown}"
        )


def _best(name: str, fields: Any, evaluations: int) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise FileFormatError(f"{name}: best must be a dictionary. Got {fields!r:.40}")
    found: dict[str, Any] = {key: _whole(name, fields, key) for key in ("waited", "seen")}
    step, lowest = fields.get("step"), fields.get("lowest")
    if found["seen"] > evaluations or (step is None) != (found["seen"] == 0):
        raise FileFormatError(
            f"{name}: best must have seen 0..{evaluations} evaluations. Got {found['seen']}"
        )
    if step is None:
        return {**found, "step": None}
    if type(lowest) is not float:
        raise FileFormatError(f"{name}: lowest must be a number. Got {lowest!r:.40}")
    return {**found, "step": _whole(name, fields, "step"), "lowest": lowest}
