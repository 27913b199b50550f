"""Recurrent networks by backpropagation through time: equations by hand, checked by machine."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bptt import (
        cells,
        data,
        diagnostics,
        engine,
        forecast,
        initializers,
        interop,
        learning,
        losses,
        optim,
        plots,
        training,
        verify,
    )
    from bptt.cells import Cell, Stage
    from bptt.diagnostics import diagnose
    from bptt.errors import BpttError
    from bptt.forecast import Forecaster
    from bptt.models import load, save
    from bptt.network import Network, Recurrent
    from bptt.training import History, train

__version__ = "0.1.0"

__all__ = [
    "BpttError",
    "Cell",
    "Forecaster",
    "History",
    "Network",
    "Recurrent",
    "Stage",
    "__version__",
    "cells",
    "data",
    "diagnose",
    "diagnostics",
    "engine",
    "forecast",
    "initializers",
    "interop",
    "learning",
    "load",
    "losses",
    "optim",
    "plots",
    "save",
    "train",
    "training",
    "verify",
]

# Where each public name lives. Loaded when first asked for, so that `import bptt` costs next to nothing.
_HOMES = {
    "BpttError": "bptt.errors",
    "Cell": "bptt.cells",
    "Forecaster": "bptt.forecast",
    "History": "bptt.training",
    "Network": "bptt.network",
    "Recurrent": "bptt.network",
    "Stage": "bptt.cells",
    "diagnose": "bptt.diagnostics",
    "load": "bptt.models",
    "save": "bptt.models",
    "train": "bptt.training",
}
_MODULES = (
    "cells", "data", "diagnostics", "engine", "forecast", "initializers", "interop", "learning", "losses", "optim",
    "plots", "training", "verify",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"bptt.{name}")
    raise AttributeError(f"module 'bptt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
