"""Kept kernels: found again, never stale, never required, never too many."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir

from bptt.engine.compiled.llvm import code_cache, machine_code
from bptt.engine.compiled.llvm.emitter import I64, POINTER, VOID
from bptt.engine.compiled.llvm.target import host

DAY = 24 * 3600


def emit(prefix: str) -> Any:
    """A kernel that writes 42 to its argument."""
    module = machine_code.new_module("small")
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER]), f"{prefix}run")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.store(ir.Constant(I64, 42), function.args[0])
    builder.ret_void()
    return module


def never(prefix: str) -> Any:
    raise AssertionError(f"{prefix} was compiled again")


def answer(wish: str, source: Any = emit) -> int:
    number = ctypes.c_int64(0)
    machine_code.load_kernels(wish, ("run",), source)["run"](ctypes.addressof(number))
    return number.value


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("BPTT_CACHE_DIR", str(tmp_path))
    code_cache._told.clear()
    yield tmp_path / "kernels"
    machine_code._surroundings.cache_clear()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# ------------------------------------------------------------ found again


def test_kept_code_is_found_and_other_wishes_are_not(folder: Path) -> None:
    assert answer("first wish") == 42
    assert answer("first wish", never) == 42
    assert len(files(folder)) == 1
    assert code_cache.kept(next(folder.iterdir()).stem)
    with pytest.raises(AssertionError, match="compiled again"):
        answer("second wish", never)
    with pytest.raises(AssertionError, match="compiled again"):
        machine_code.load_kernels("first wish", ("run", "walk"), never)


# Runs a network; says what was compiled.
PROGRAM = """
import logging, sys, time
import numpy as np
logging.basicConfig(format="%(message)s", level="INFO", stream=sys.stdout)
import bptt
net = bptt.Recurrent("elman", 1, 2, engine="compiled")
go = sys.argv[1] if len(sys.argv) > 1 else None
from bptt.engine import get_engine
get_engine("compiled")
if go:
    from pathlib import Path
    Path(go + sys.argv[2]).touch()
    while not Path(go).exists():
        time.sleep(0.001)
print(net.forward(np.ones((1, 3, 1)))[0].shape)
"""


def test_another_process_finds_it(folder: Path) -> None:
    told = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    first, last = told[0].splitlines()
    assert first.startswith("compiling for this machine, to be kept for the next run: ")
    assert last == "(1, 3, 2)"
    assert told[1] == "(1, 3, 2)\n"


def test_two_processes_that_compile_at_once(folder: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    command = [sys.executable, "-c", PROGRAM, str(go)]
    both = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "ab"]
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("go[ab]"))) < 2 and time.monotonic() < until:
        time.sleep(0.001)
    go.touch()
    told = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all(text.splitlines()[-1] == "(1, 3, 2)" for text in told)
    (name,) = files(folder)
    assert code_cache.kept(name.removesuffix(".o"))


# ------------------------------------------------------------ never stale


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the texts that decide a kernel's code."""
    copy = tmp_path / "package"
    for part in machine_code.PARTS:
        for path in machine_code.PACKAGE.glob(part):
            target = copy / path.relative_to(machine_code.PACKAGE)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    monkeypatch.setattr(machine_code, "PACKAGE", copy)
    machine_code._surroundings.cache_clear()
    return copy


@pytest.mark.parametrize(
    "name",
    [
        "engine/compiled/llvm/polynomials.py",
        "engine/compiled/units/products.py",
        "formulas.py",
        "cells/plan.py",
        "activations.py",
    ],
)
def test_a_changed_callee_in_another_file_is_another_kernel(name: str, package: Path, folder: Path) -> None:
    answer("a wish")
    (package / name).write_bytes((package / name).read_bytes() + b"# changed\n")
    answer("a wish", never)  # what this process has read is what it runs
    machine_code._surroundings.cache_clear()
    with pytest.raises(AssertionError, match="compiled again"):
        answer("a wish", never)
    answer("a wish")
    assert len(files(folder)) == 2


def test_a_line_that_moves_to_the_next_file_is_a_change(package: Path) -> None:
    texts = sorted(package.glob("engine/compiled/units/f*.py"))
    before = machine_code._surroundings()
    *lines, last = texts[0].read_bytes().splitlines(keepends=True)
    texts[0].write_bytes(b"".join(lines))
    texts[1].write_bytes(last + texts[1].read_bytes())
    machine_code._surroundings.cache_clear()
    assert machine_code._surroundings() != before


def test_a_package_without_readable_text_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_code, "PACKAGE", tmp_path / "archive.zip")
    machine_code._surroundings.cache_clear()
    answer("a wish")
    machine_code._surroundings.cache_clear()  # the next process
    with pytest.raises(AssertionError, match="compiled again"):
        answer("a wish", never)


HOST = "bptt.engine.compiled.llvm.machine_code.host"
OTHERS = {
    "another processor": (HOST, lambda: dataclasses.replace(host(), cpu="other")),
    "other features": (
        HOST,
        lambda: dataclasses.replace(host(), features=host().features + ",-avx512f"),
    ),
    "other tiles": (HOST, lambda: dataclasses.replace(host(), heights=(5, 1))),
    "another llvmlite": ("llvmlite.__version__", "0.99.0"),
    "another LLVM": ("llvmlite.binding.llvm_version_info", (99, 0, 1)),
    "another system": ("llvmlite.binding.get_process_triple", lambda: "x86_64-pc-plan9"),
}  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
def test_other_surroundings_are_another_kernel(
    other: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer("a wish")
    monkeypatch.setattr(*OTHERS[other])
    machine_code._surroundings.cache_clear()
    with pytest.raises(AssertionError, match="compiled again"):
        answer("a wish", never)
    monkeypatch.undo()
    monkeypatch.setenv("BPTT_CACHE_DIR", str(folder.parent))
    machine_code._surroundings.cache_clear()
    assert answer("a wish", never) == 42


# ------------------------------------------------------------ damaged

DAMAGES = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "its digest alone": lambda data: data[:32],
    "one bit": lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
    "zeros at the end": lambda data: data[:-64] + bytes(64),
    "a web page": lambda data: b"<html>" * 100,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_compiled_again(
    damage: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wish = f"a wish, {damage}"
    answer(wish)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    assert code_cache.kept(path.stem) is None
    assert "damaged" in caplog.text
    assert answer(wish) == 42
    assert path.read_bytes() == whole
    assert answer(wish, never) == 42


# ------------------------------------------------------------ never required


@pytest.mark.parametrize("place", ["the folder", "its parent"])
def test_a_folder_that_cannot_be_written_is_one_log_line(
    place: str,
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if place == "the folder":
        folder.write_text("a file stands where the folder should be")
    else:
        (tmp_path / "file").write_text("not a folder")
        monkeypatch.setenv("BPTT_CACHE_DIR", str(tmp_path / "file"))
    assert answer(f"unkept in {place}") == 42
    assert answer(f"unkept in {place}, too") == 42
    (record,) = (r for r in caplog.records if r.levelname == "WARNING")
    assert record.name == "bptt.engine.compiled"
    where = code_cache.kernel_folder()
    assert record.getMessage().startswith(
        f"compiled kernels cannot be kept in {where}, so every run compiles them again: "
    )


def test_without_a_home_kernels_live_for_one_run(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(code_cache, "cache_folder", homeless)
    assert answer("a wish without a home") == 42
    assert answer("another without a home") == 42
    (record,) = (r for r in caplog.records if r.levelname == "WARNING")
    assert "Could not determine home directory" in record.getMessage()


# ------------------------------------------------------------ never too many


def put(folder: Path, name: str, size: int, age: float) -> Path:
    """Write a kept file of a size, used so many seconds ago."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_the_longest_unused_go_when_there_is_no_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_cache, "LIMIT", 1000)
    for k, age in enumerate((5, 1, 4, 2, 3)):
        put(folder, f"{k}.o", 300, age * DAY)
    put(folder, "notes.txt", 5000, 9 * DAY)
    code_cache.keep("new", bytes(250))
    assert files(folder) == {"new.o", "1.o", "3.o", "notes.txt"}
    code_cache.keep("large", bytes(2000))  # more than there is room for: it is needed now
    assert files(folder) == {"large.o", "notes.txt"}


def test_what_is_used_counts_as_new(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_cache, "LIMIT", 700)
    code_cache.keep("used", bytes(300))
    put(folder, "unused.o", 300, 3 * DAY)
    os.utime(folder / "used.o", (time.time() - 9 * DAY,) * 2)
    assert code_cache.kept("used") == bytes(300)
    code_cache.keep("new", bytes(300))
    assert files(folder) == {"new.o", "used.o"}


def test_reading_writes_nothing_within_a_day(folder: Path) -> None:
    code_cache.keep("used", b"code")
    then = time.time() - DAY / 2
    os.utime(folder / "used.o", (then, then))
    assert code_cache.kept("used") == b"code"
    assert abs((folder / "used.o").stat().st_mtime - then) < 1


def test_what_a_killed_process_left_goes_too(folder: Path) -> None:
    put(folder, ".bptt-1234.part", 10, 2 * 3600)
    put(folder, ".bptt-5678.part", 10, 60)  # somebody is writing it
    code_cache.keep("new", b"code")
    assert files(folder) == {"new.o", ".bptt-5678.part"}


def test_a_developers_many_changes_stay_within_the_limit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_cache, "LIMIT", 4000)
    monkeypatch.setattr(machine_code, "PACKAGE", tmp_path)
    for k in range(30):
        (tmp_path / "text.py").write_text(f"version = {k}")
        machine_code._surroundings.cache_clear()
        answer("a wish")
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert sum(sizes) <= 4000
    assert len(sizes) >= 2
    answer("a wish", never)


# ------------------------------------------------------------ fork

FORK = """
import os, sys, threading, time
from bptt.engine.compiled.llvm import machine_code
from tests.engine.test_code_cache import answer, emit
started = threading.Event()
def slow(prefix):
    started.set()
    time.sleep(0.3)
    return emit(prefix)
other = threading.Thread(target=lambda: answer("slow", slow))
other.start()
started.wait()
child = os.fork()  # while the other thread compiles
if not child:
    os._exit(answer("in the child") - 42)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
other.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_born_while_a_thread_compiles_can_compile(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "0\n", done.stderr
