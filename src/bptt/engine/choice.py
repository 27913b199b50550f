"""Engines by name. Each is a module with `NAME`, `forward` and `backward` of one signature, loaded when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from bptt.cells.protocol import Cell
from bptt.checks import check_choice
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


# "auto" is NumPy until the compiled engine also fuses whole training steps; it is asked for by name.
ENGINES: dict[str, str] = {
    "auto": "bptt.engine.reference",
    "numpy": "bptt.engine.reference",
    "compiled": "bptt.engine.compiled",
}


def get_engine(name: str) -> Engine:
    """Return an engine by name.

    Raises
    ------
    InvalidInput
        Unknown name, or an engine that this installation cannot run.
    """
    path = ENGINES[check_choice("engine", name, ENGINES)]
    try:
        module: Any = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != "llvmlite":
            raise
        raise InvalidInput(
            f"engine {name!r} must be able to import llvmlite. Got none: "
            "pip install 'bptt[compiled]', or choose engine='numpy'"
        ) from None
    return cast(Engine, module)
