"""A file is written whole or not at all."""

import errno
import os
import stat
import sys
import threading

import pytest

from bptt.atomic import clear_parts, write_atomic
from bptt.errors import BpttError, FileMissing, InvalidInput

posix_only = pytest.mark.skipif(
    sys.platform == "win32", reason="permissions, links and devices as POSIX has them"
)


def test_writes_every_byte_as_given(tmp_path):
    data = bytes(range(256)) * 3 + b"\r\n\n"
    write_atomic(tmp_path / "new.bin", data)
    assert (tmp_path / "new.bin").read_bytes() == data


def test_takes_a_path_as_text(tmp_path):
    write_atomic(str(tmp_path / "new.bin"), b"x")
    assert (tmp_path / "new.bin").read_bytes() == b"x"


def test_replaces_a_longer_file_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "file.txt"
    target.write_bytes(b"a much longer old content")
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_keeps_the_old_file_and_removes_the_temporary_one(tmp_path, monkeypatch, step):
    target = tmp_path / "file.txt"
    target.write_bytes(b"old")

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(os, "replace", fail)
        monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(InvalidInput) as caught:
        write_atomic(target, b"new")
    assert str(caught.value) == f"path must be writable. Got {str(target)!r}: No space left on device"
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_an_interrupt_removes_the_temporary_file_and_goes_on(tmp_path, monkeypatch):
    def interrupt(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file.txt", b"new")
    assert list(tmp_path.iterdir()) == []


def test_content_is_flushed_before_the_rename_and_the_folder_after(tmp_path, monkeypatch):
    events = []
    real_fsync, real_replace = os.fsync, type(tmp_path).replace

    def fsync(handle):
        events.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real_fsync(handle)

    def replace(self, target):
        events.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(type(tmp_path), "replace", replace)
    write_atomic(tmp_path / "file.txt", b"new")
    assert events[:2] == ["file", "rename"]
    assert events[2:] == (["folder"] if hasattr(os, "O_DIRECTORY") else [])


def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path, monkeypatch):
    real_fsync = os.fsync

    def fsync(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real_fsync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomic(tmp_path / "file.txt", b"new")
    assert (tmp_path / "file.txt").read_bytes() == b"new"


@posix_only
def test_a_new_file_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file.txt", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o640


@posix_only
def test_an_old_file_keeps_its_permissions(tmp_path):
    target = tmp_path / "file.txt"
    target.write_bytes(b"old")
    target.chmod(0o604)
    write_atomic(target, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


@posix_only
def test_a_link_is_followed(tmp_path):
    target, link = tmp_path / "file.txt", tmp_path / "link.txt"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_the_longest_name_a_folder_takes(tmp_path):
    target = tmp_path / ("n" * 251 + ".txt")
    write_atomic(target, b"x")
    assert target.read_bytes() == b"x"


def test_writers_at_once_leave_one_whole_content(tmp_path):
    target = tmp_path / "file.bin"
    contents = [bytes([number]) * 200_000 for number in range(1, 7)]
    threads = [threading.Thread(target=write_atomic, args=(target, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() in contents
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder(tmp_path):
    target = tmp_path / "missing" / "file.txt"
    with pytest.raises(FileMissing) as caught:
        write_atomic(target, b"x")
    assert str(caught.value) == (
        f"path must lie in a folder that exists. Got {str(target)!r}: "
        f"make the folder {os.path.realpath(tmp_path / 'missing')!r} first"
    )


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(FileMissing, match="must lie in a folder that exists"):
        write_atomic(tmp_path / "plain" / "file.txt", b"x")


def test_a_folder_as_the_file(tmp_path):
    with pytest.raises(InvalidInput, match=r"must name a file.*that is a folder"):
        write_atomic(tmp_path, b"x")


@posix_only
def test_a_device_is_never_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InvalidInput, match=r"must name an ordinary file.*a device or a pipe"):
        write_atomic(pipe, b"x")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_name_with_a_null_character(tmp_path):
    with pytest.raises(InvalidInput, match=r"must be writable.*null"):
        write_atomic(f"{tmp_path}/a\0b", b"x")


def test_a_folder_without_permission(tmp_path, monkeypatch):
    # chmod would not stop a test that runs as root.
    real_open = os.open

    def refuse(path, flags, *args, **kwargs):
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real_open(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InvalidInput, match=r"must be writable.*Permission denied") as caught:
        write_atomic(tmp_path / "file.txt", b"x")
    assert isinstance(caught.value, BpttError)
    assert "\n" not in str(caught.value)


def test_what_killed_writers_left_is_cleared_for_its_own_file_alone(tmp_path, monkeypatch):
    def killed(*args, **options):
        raise KeyboardInterrupt

    # A process that is killed removes nothing.
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed)
        patch.setattr("pathlib.Path.unlink", killed)
        for name in ("one.bin", "one.bin", "two.bin"):
            with pytest.raises(KeyboardInterrupt):
                write_atomic(tmp_path / name, b"x" * 99)
    (tmp_path / "one.bin").write_bytes(b"old")
    assert len(list(tmp_path.glob(".bptt-*.part"))) == 3
    clear_parts(tmp_path / "one.bin")
    assert len(list(tmp_path.glob(".bptt-*.part"))) == 1
    assert (tmp_path / "one.bin").read_bytes() == b"old"
    clear_parts(str(tmp_path / "two.bin"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.bin"]
