"""Writing a file so that its readers see either the old content or the new one, never half of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from bptt.errors import FileMissing, InvalidInput


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` through a temporary file in the same folder.

    Parameters
    ----------
    path : str or path
        The file to write. An existing one is replaced and keeps its permissions; a link is followed.
    data : bytes
        The whole content.

    Raises
    ------
    FileMissing
        The folder does not exist.
    InvalidInput
        `path` names a folder or a device, or the system refuses to write.

    Notes
    -----
    The temporary file is flushed to disk before it takes the name, and the folder after it, so that
    a power cut leaves one of the two contents. On any failure the old file is as it was and the
    temporary one is gone; only a process that is killed leaves it behind, for `clear_parts`.
    """
    target = _target(path)
    part = target.parent / f"{_part_prefix(target)}{secrets.token_hex(8)}.part"
    try:
        _write_flushed(part, data, mode=target.stat().st_mode & 0o777 if target.exists() else None)
        part.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _refused(path, error) from error
        raise
    _flush_folder(target.parent)


def clear_parts(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed writers of `path` left beside it.

    Called by the one who writes `path` from now on: another writer that is at it meanwhile finds its temporary file
    gone, gets an error, and leaves `path` whole.
    """
    target = _target(path)
    for part in target.parent.glob(f"{_part_prefix(target)}*.part"):
        with contextlib.suppress(OSError):
            part.unlink()


def _part_prefix(target: Path) -> str:
    # A digest, because the name itself may be as long as a name can be.
    return f".bptt-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}-"


def _target(path: str | os.PathLike[str]) -> Path:
    """Return the file behind `path`, after checking that it is one that may be replaced."""
    try:
        target = Path(os.path.realpath(path))
        folder_is_there = target.parent.is_dir()
        is_folder = target.is_dir()
        is_special = target.exists() and not target.is_file()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise _refused(path, error) from error
    if not folder_is_there:
        raise FileMissing(
            f"path must lie in a folder that exists. Got {os.fspath(path)!r}: "
            f"make the folder {str(target.parent)!r} first"
        )
    if is_folder:
        raise InvalidInput(
            f"path must name a file. Got {os.fspath(path)!r}: that is a folder, add a file name"
        )
    if is_special:
        raise InvalidInput(
            f"path must name an ordinary file. Got {os.fspath(path)!r}: that is a device or a pipe"
        )
    return target


def _write_flushed(part: Path, data: bytes, *, mode: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    # 0o666 less the umask, as open() would give; mkstemp's 0o600 would hide a report from a web server.
    handle = os.open(part, flags, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if mode is not None:
        part.chmod(mode)


def _flush_folder(folder: Path) -> None:
    """Make the rename durable. The file is complete by now, so a system that cannot do this is no error."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _refused(path: str | os.PathLike[str], error: OSError | ValueError) -> InvalidInput:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return InvalidInput(f"path must be writable. Got {os.fspath(path)!r}: {reason}")
