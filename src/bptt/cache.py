"""The folder where things are kept between runs: compiled kernels, downloaded data."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Return the cache folder of bptt, which need not exist.

    ``BPTT_CACHE_DIR``; without that ``LOCALAPPDATA/bptt`` on Windows, ``XDG_CACHE_HOME/bptt`` or ``~/.cache/bptt``
    elsewhere.

    Raises
    ------
    RuntimeError
        No variable names a folder, and there is no home.
    """
    own = os.environ.get("BPTT_CACHE_DIR")
    if own:
        return Path(own)
    if sys.platform == "win32":
        named = os.environ.get("LOCALAPPDATA")
        return (Path(named) if named else Path.home() / "AppData" / "Local") / "bptt"
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "bptt"
