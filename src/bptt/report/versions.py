"""Versions of what a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from bptt.engine import get_engine


def versions() -> dict[str, str]:
    """Return the versions of bptt, Python and NumPy, the machine's kind, and the engine that "auto" is on it."""
    engine = get_engine("auto").NAME
    return {
        "bptt": _version("bptt"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "engine": f"{engine} (llvmlite {_version('llvmlite')})" if engine == "compiled" else engine,
    }


def describe() -> str:
    """Return one line with all of them."""
    return ", ".join(f"{name} {number}" for name, number in versions().items())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"
