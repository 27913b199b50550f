"""Compiled kernels on disk. A folder that cannot be written is no error: kernels then live for one run."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import tempfile
from pathlib import Path

_log = logging.getLogger("bptt.engine.compiled")
_DIGEST_BYTES = 32


def kernel_folder() -> Path:
    """Return where kernels are kept, which need not exist.

    ``BPTT_CACHE_DIR/kernels``; without that ``LOCALAPPDATA/bptt`` on Windows, ``XDG_CACHE_HOME/bptt`` or
    ``~/.cache/bptt`` elsewhere.
    """
    named = os.environ.get("BPTT_CACHE_DIR")
    if named:
        return Path(named) / "kernels"
    variable, other = (
        ("LOCALAPPDATA", Path("AppData") / "Local")
        if sys.platform == "win32"
        else ("XDG_CACHE_HOME", Path(".cache"))
    )
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / other) / "bptt" / "kernels"


def kept(digest: str) -> bytes | None:
    """Return the code kept under `digest`; None if there is none, or if it is damaged."""
    try:
        data = (kernel_folder() / f"{digest}.o").read_bytes()
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        return None
    # A damaged file must not be run: its own digest stands before the code.
    code = data[_DIGEST_BYTES:]
    return code if hashlib.sha256(code).digest() == data[:_DIGEST_BYTES] else None


def keep(digest: str, code: bytes) -> None:
    """Write code under `digest`, whole or not at all."""
    try:
        folder = kernel_folder()
        folder.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=folder, prefix=f".{digest}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            Path(part).replace(folder / f"{digest}.o")
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except (OSError, RuntimeError) as error:
        _log.info("kernels are not kept for the next run: %s", error)
