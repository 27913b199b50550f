"""Whatever of the system's calls fails while a file is written: the old file is whole, and nothing lies beside it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

import bptt
from bptt import atomic
from bptt.errors import InvalidInput
from bptt.interop.numpy_script import to_numpy_script
from bptt.report import write_training_page
from bptt.training import CSVLog, History, TensorBoard, read_checkpoint, train
from bptt.training.checkpoints.file import write_checkpoint
from tests.files.hostile import GOLDEN

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and permissions as POSIX has them")

POINTS = ("open", "write", "fsync", "chmod", "replace")


def history() -> History:
    rng = np.random.default_rng(0)
    net = bptt.Network(bptt.Recurrent("elman", 3, 5), 2)
    return train(
        net, (rng.standard_normal((20, 4, 3)), rng.standard_normal((20, 2))), steps=3, progress=False
    )


@pytest.fixture(scope="module")
def writers() -> dict[str, Callable[[Path], object]]:
    """Return everything that writes a result of value, by name."""
    net, forecaster = (bptt.load(GOLDEN / f"{name}.bptt") for name in ("network", "forecaster_ridge"))
    kept, told = read_checkpoint(GOLDEN / "checkpoint.ckpt"), history()
    return {
        "model": lambda path: bptt.save(net, path),
        "forecaster": forecaster.save,
        "checkpoint": lambda path: write_checkpoint(path, kept),
        "script": lambda path: to_numpy_script(net, path),
        "report": lambda path: write_training_page(path, told),
    }


WRITERS = ("model", "forecaster", "checkpoint", "script", "report")


class FullFile:
    """A file on a disk that takes some bytes and no more."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: bytes) -> None:
        self.file.write(data[: self.room])
        self.file.flush()
        raise full()


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def failing(point: str, room: int = 0) -> Iterator[list[int]]:
    """Let a call of the system fail; yield a list with an entry for each time that it did."""
    failed: list[int] = []

    def fail(*arguments: Any, **options: Any) -> Any:
        failed.append(1)
        raise full()

    def fail_to_make(path: Any, flags: int, *rest: Any, **options: Any) -> Any:
        return fail() if flags & os.O_CREAT else opened(path, flags, *rest, **options)

    def made(handle: int, mode: str) -> Any:
        failed.append(1)
        return FullFile(fdopen(handle, mode), room)

    opened, fdopen = os.open, os.fdopen
    with pytest.MonkeyPatch.context() as patch:
        if point == "open":
            patch.setattr(atomic.os, "open", fail_to_make)
        elif point == "write":
            patch.setattr(atomic.os, "fdopen", made)
        elif point == "fsync":
            patch.setattr(atomic.os, "fsync", fail)
        else:
            patch.setattr(Path, point, fail)
        yield failed


@pytest.mark.parametrize("name", WRITERS)
def test_the_old_file_is_whole_whatever_fails(
    name: str, writers: dict[str, Callable[[Path], object]], tmp_path: Path
) -> None:
    path = tmp_path / "result"
    writers[name](path)
    size, old = path.stat().st_size, b"what was there before"
    cases = [(point, 0) for point in POINTS]
    cases += [("write", int(room)) for room in np.linspace(1, size, 23).astype(int)]
    for point, room in cases:
        path.write_bytes(old)
        with failing(point, room) as failed, pytest.raises(InvalidInput) as caught:
            writers[name](path)
        assert failed
        assert str(caught.value) == f"path must be writable. Got {str(path)!r}: No space left on device"
        assert path.read_bytes() == old
        assert list(tmp_path.iterdir()) == [path]
    # Nor is anything left where there was none.
    path.unlink()
    for point in ("open", "write", "fsync", "replace"):
        with failing(point, 5), pytest.raises(InvalidInput, match=r"No space left on device$"):
            writers[name](path)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_with_room_for_so_many_bytes(
    name: str, writers: dict[str, Callable[[Path], object]], tmp_path: Path
) -> None:
    """The system's own limit, in the place of a disk that is full."""
    import resource

    path = tmp_path / "result"
    writers[name](path)
    size, old = path.stat().st_size, b"what was there before"
    path.write_bytes(old)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 1, 8, *np.linspace(9, size - 1, 12).astype(int)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), hard))
        try:
            with pytest.raises(InvalidInput, match=r"^path must be writable\. Got .* File too large$"):
                writers[name](path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == old
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("log", [CSVLog, TensorBoard])
def test_a_log_that_cannot_be_written_ends_the_run_in_one_line(
    log: Callable[[Path], Any], tmp_path: Path
) -> None:
    import resource

    rng = np.random.default_rng(0)
    net = bptt.Network(bptt.Recurrent("elman", 3, 5), 2)
    data = rng.standard_normal((20, 4, 3)), rng.standard_normal((20, 2))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        with pytest.raises(InvalidInput, match=r"^(path|folder) must be writable\. Got .* File too large$"):
            train(net, data, steps=200, progress=False, callbacks=[log(tmp_path / "log")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
