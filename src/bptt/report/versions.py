"""Versions of what a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


def versions() -> dict[str, str]:
    """Return the versions of bptt, Python and NumPy, and the machine's kind."""
    import numpy as np

    try:
        own = version("bptt")
    except PackageNotFoundError:  # run from a source tree that was never installed
        own = "unknown"
    return {
        "bptt": own,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }


def describe() -> str:
    """Return one line with all of them."""
    return ", ".join(f"{name} {number}" for name, number in versions().items())
