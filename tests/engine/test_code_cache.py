"""Kept kernels: found again, never stale, never required."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llvmlite")

from bptt.engine.compiled import code_cache, machine_code
from bptt.engine.compiled.emitter import POINTER, VOID


def emit(prefix: str) -> Any:
    from llvmlite import ir

    module = machine_code.new_module("empty")
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER]), f"{prefix}run")
    ir.IRBuilder(function.append_basic_block()).ret_void()
    return module


def never(prefix: str) -> Any:
    raise AssertionError(f"{prefix} was compiled again")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BPTT_CACHE_DIR", str(tmp_path))
    return tmp_path / "kernels"


def test_kept_code_is_found_and_other_wishes_are_not(folder: Path) -> None:
    assert "run" in machine_code.load_kernels("first wish", ("run",), emit)
    assert len(list(folder.iterdir())) == 1
    data = code_cache.kept(next(folder.iterdir()).stem)
    assert data
    with pytest.raises(AssertionError, match="compiled again"):
        machine_code.load_kernels("second wish", ("run",), never)


def test_another_process_finds_it(folder: Path) -> None:
    script = (
        "import numpy as np\nfrom bptt.engine import compiled\nfrom bptt.cells import get_cell\n"
        "from bptt.engine.compiled import machine_code\n"
        "machine_code.compile_module, real = (lambda m: print('compiled') or real(m)), machine_code.compile_module\n"
        "p = {'W_xh': np.ones((1, 2)), 'W_hh': np.ones((2, 2)), 'b_h': np.ones(2)}\n"
        "print(compiled.forward(get_cell('elman'), p, np.ones((2, 1, 1)))[0].shape)\n"
    )
    told = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert told == ["compiled\n(2, 1, 2)\n", "(2, 1, 2)\n"]


def test_the_surroundings_belong_to_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_code.load_kernels("a wish", ("run",), emit)
    monkeypatch.setattr(machine_code, "_surroundings", lambda: "another processor")
    with pytest.raises(AssertionError, match="compiled again"):
        machine_code.load_kernels("a wish", ("run",), never)


def test_a_damaged_file_is_compiled_again(folder: Path) -> None:
    machine_code.load_kernels("some wish", ("run",), emit)
    path = next(folder.iterdir())
    path.write_bytes(path.read_bytes()[:-7] + b"damaged")
    assert code_cache.kept(path.stem) is None


def test_a_folder_that_cannot_be_written_is_no_error(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_text("a file stands where the folder should be")
    with caplog.at_level("INFO", logger="bptt.engine.compiled"):
        assert "run" in machine_code.load_kernels("unkept wish", ("run",), emit)
    assert "not kept" in caplog.text


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert code_cache.kernel_folder() == tmp_path / "kernels"
    monkeypatch.delenv("BPTT_CACHE_DIR")
    monkeypatch.setenv(
        "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", str(tmp_path / "other")
    )
    assert code_cache.kernel_folder() == tmp_path / "other" / "bptt" / "kernels"
