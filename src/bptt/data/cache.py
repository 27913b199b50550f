"""The folder where downloaded data are kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bptt.files.atomic import write_atomic


def cache_folder() -> Path:
    """Return the cache folder of bptt, which need not exist.

    ``LOCALAPPDATA/bptt`` on Windows; elsewhere ``XDG_CACHE_HOME/bptt``, or ``~/.cache/bptt`` if that is not set.
    """
    if sys.platform == "win32":
        named = os.environ.get("LOCALAPPDATA")
        return (Path(named) if named else Path.home() / "AppData" / "Local") / "bptt"
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "bptt"


def keep(name: str, data: bytes) -> Path:
    """Write `data` under `name` in the cache folder, whole or not at all; OSError or BpttError if that fails."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / name, data)
    return folder / name
