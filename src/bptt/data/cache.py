"""The folder where downloaded data are kept, and writing into it so that no reader sees half a file."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


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
    """Write `data` under `name` in the cache folder, whole or not at all; OSError if it cannot be written."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(part).replace(folder / name)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return folder / name
