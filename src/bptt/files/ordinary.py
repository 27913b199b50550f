"""Ordinary files: opened without waiting for anything, read straight into arrays, and not where nothing is in them."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bptt.checks import Array
from bptt.errors import FileFormatError

# Of a file larger than this, so many of its bytes must be there, and not a hole that a file system leaves unwritten:
# what starts at random leaves none.
_LARGE, _LEAST_SHARE = 2**26, 1 / 64
# Pieces of written bytes that are looked at for it.
_EXTENTS = 10_000
# Bytes that are read at once.
_PIECE = 2**20


def open_ordinary(name: str) -> BinaryIO:
    """Open a file for reading.

    Raises
    ------
    FileFormatError
        A folder, a device, a pipe.
    OSError, ValueError
        What the system says.
    """
    # Looked at before it is opened, as opening a device may do something; and again after it, should another thing
    # have taken its place: without O_NONBLOCK opening a pipe waits for somebody to write to it.
    _check_ordinary(name, Path(name).stat())
    handle = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check_ordinary(name, os.fstat(handle))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _check_ordinary(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
        raise FileFormatError(f"{name} must be an ordinary file. Got {what}")


def check_holes(name: str, handle: int) -> None:
    """Refuse a large file of which next to nothing is there: it would be read for minutes, as zeros.

    To be asked before anything is read from it.
    """
    size = os.fstat(handle).st_size
    if size < _LARGE or not hasattr(os, "SEEK_DATA"):
        return
    there = _written(handle, size)
    os.lseek(handle, 0, os.SEEK_SET)
    if there < size * _LEAST_SHARE:
        raise FileFormatError(
            f"{name} must be a whole file. Got {there} bytes of its {size}, and holes: was its copy cut off?"
        )


def _written(handle: int, size: int) -> int:
    """Return how many bytes of a file are no holes, or enough of them; on a file system without holes, all."""
    place = found = 0
    for _ in range(_EXTENTS):
        try:
            begin = os.lseek(handle, place, os.SEEK_DATA)
            place = os.lseek(handle, begin, os.SEEK_HOLE)
        except OSError as error:
            # Nothing but a hole follows; or the file system cannot tell.
            return found if error.errno == errno.ENXIO else size
        found += place - begin
        if place >= size or found >= size * _LEAST_SHARE:
            return found
    return size


def fill(name: str, file: BinaryIO, array: Array) -> None:
    """Read the bytes of an array from where the file stands."""
    if not array.size:
        return
    room = array.reshape(-1).view(np.uint8).data
    while room:
        # In pieces: one call reads no more than 2 GiB.
        count = file.readinto(room[:_PIECE])  # type: ignore[attr-defined]  # a buffered reader has it
        if not count:
            raise FileFormatError(f"{name} must not change while it is read. Got its end too early")
        room = room[count:]
