"""Engines by name. Each is a module with `NAME`, `forward` and `backward` of one signature, loaded when asked for."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Collection, Mapping
from functools import cache
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from bptt.cells.protocol import Cell
from bptt.checks import check_choice
from bptt.engine.availability import Obstacle, find_obstacle
from bptt.engine.tape import Array, Sweep, Tape
from bptt.errors import InvalidInput


class Engine(Protocol):
    """What an engine's module offers; see `bptt.engine.reference` for shapes."""

    NAME: str

    def forward(
        self,
        cell: Cell,
        parameters: Mapping[str, Array],
        x: Array,
        state0: Mapping[str, Array] | None = None,
        lengths: npt.NDArray[np.int64] | None = None,
        *,
        outputs: str = "all",
        tape: bool = True,
    ) -> tuple[Array | None, dict[str, Array], Tape | None]:
        """Run a layer over a batch of sequences."""

    def backward(
        self,
        tape: Tape,
        dh: Array | None = None,
        dstate_T: Mapping[str, Array] | None = None,
        *,
        want: Collection[str] = ...,
    ) -> Sweep:
        """Sweep back through time."""


COMPILED, NUMPY = "bptt.engine.compiled", "bptt.engine.reference"

# "auto" is the compiled engine wherever it can run, NumPy elsewhere.
ENGINES: dict[str, str] = {"auto": COMPILED, "numpy": NUMPY, "compiled": COMPILED}

_log = logging.getLogger("bptt.engine")


def get_engine(name: str) -> Engine:
    """Return an engine by name.

    Raises
    ------
    InvalidInput
        Unknown name, or an engine that cannot run here; "auto" always can.

    Notes
    -----
    Where the compiled engine cannot run, "auto" is NumPy, and a line of the logger ``bptt.engine`` says why, once in a
    process. The name of what was chosen is ``get_engine("auto").NAME``.
    """
    path = ENGINES[check_choice("engine", name, ENGINES)]
    obstacle = find_obstacle() if path == COMPILED else None
    if obstacle is not None:
        if name != "auto":
            raise InvalidInput(
                f"engine {name!r} must be able to compile on this machine. Got {obstacle.got}: {obstacle.remedy}, "
                "or choose engine='numpy'"
            )
        _tell(obstacle)
        path = NUMPY
    return cast(Engine, importlib.import_module(path))


@cache  # once in a process
def _tell(obstacle: Obstacle) -> None:
    _log.warning(
        "bptt runs on NumPy, several times slower than compiled: %s (%s)", obstacle.got, obstacle.remedy
    )
