"""Compiled kernels on disk. A folder that cannot be written is no error: kernels then live for one run."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from pathlib import Path

from bptt.atomic import write_atomic
from bptt.cache import cache_folder
from bptt.errors import BpttError

_log = logging.getLogger("bptt.engine.compiled")
_DIGEST_BYTES = 32
# All kept files together, bytes. A file holds 30 to 80 kB; every change of this package's text or of llvmlite leaves
# the older ones behind, so the longest unused go first.
LIMIT = 64 * 2**20
# A use is noted at most once in this time, seconds: reading should not write.
_NOTED = 24 * 3600
# A part-file this old, seconds, belongs to a process that did not live to rename it.
_ABANDONED = 3600

_told: set[str] = set()


def kernel_folder() -> Path:
    """Return where kernels are kept, which need not exist: ``kernels`` in `bptt.cache.cache_folder`."""
    return cache_folder() / "kernels"


def kept(digest: str) -> bytes | None:
    """Return the code kept under `digest`; None if there is none, or if it is damaged."""
    try:
        path = kernel_folder() / f"{digest}.o"
        data = path.read_bytes()
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        return None
    # A damaged file must not be run: its own digest stands before the code.
    code = data[_DIGEST_BYTES:]
    if hashlib.sha256(code).digest() != data[:_DIGEST_BYTES]:
        _log.warning("kept kernels %s are damaged: compiling them again", path)
        return None
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _NOTED:
            os.utime(path)
    return code


def keep(digest: str, code: bytes) -> None:
    """Write code under `digest`, whole or not at all, and drop what has long not been used."""
    try:
        folder = kernel_folder()
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / f"{digest}.o", hashlib.sha256(code).digest() + code)
        _sweep(folder, digest, LIMIT - len(code))
    except (OSError, BpttError, RuntimeError) as error:
        _tell(error)


def _sweep(folder: Path, digest: str, room: int) -> None:
    """Let files other than `digest` take `room` bytes at most; other processes may be doing the same."""
    files: list[tuple[float, int, Path]] = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            found = path.stat()
            if path.suffix == ".part" and time.time() - found.st_mtime > _ABANDONED:
                path.unlink()
            elif path.suffix == ".o" and path.stem != digest:
                files.append((found.st_mtime, found.st_size, path))
    for _, size, path in sorted(files, reverse=True):
        room -= size
        if room < 0:
            with contextlib.suppress(OSError):  # Windows holds on to a file that is being read
                path.unlink()


def _tell(error: Exception) -> None:
    """Log that nothing can be kept, once for each place."""
    try:
        place = str(kernel_folder())
    except RuntimeError:
        place = "a home folder"
    if place not in _told:
        _told.add(place)
        _log.warning(
            "compiled kernels cannot be kept in %s, so every run compiles them again: %s", place, error
        )
