"""Where kernels cannot be compiled or run, "auto" is NumPy and says so once; "compiled" says what to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.engine import availability, choice, get_engine, reference
from bptt.engine.availability import LLVMLITE, find_obstacle
from bptt.errors import InvalidInput
from bptt.network import Recurrent
from tests.conftest import REPOSITORY

needs_llvmlite = pytest.mark.skipif(find_spec("llvmlite") is None, reason="llvmlite is not installed")

# Asks for "auto" twice and for "compiled"; says what it got, and runs a network.
PROGRAM = """
import logging
import numpy as np
import bptt
from bptt.engine import get_engine
logging.basicConfig(format="%(name)s %(levelname)s %(message)s", level="INFO")
print(get_engine("auto").NAME, get_engine("auto").NAME)
try:
    get_engine("compiled")
except bptt.BpttError as error:
    print(error)
net = bptt.Recurrent("gru", 2, 3)
print(net.forward(np.ones((1, 4, 2)))[0].shape)
"""


@pytest.fixture(autouse=True)
def _look_again() -> Iterator[None]:
    def forget() -> None:
        find_obstacle.cache_clear()
        choice._tell.cache_clear()

    forget()
    yield
    forget()


def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def say(got: str, remedy: str) -> tuple[str, str]:
    """Return what the log and what the error must say."""
    return (
        f"bptt runs on NumPy, several times slower than compiled: {got} ({remedy})",
        f"engine 'compiled' must be able to compile on this machine. Got {got}: {remedy}, or choose engine='numpy'",
    )


def assert_falls_back(caplog: pytest.LogCaptureFixture, got: str, remedy: str) -> None:
    line, message = say(got, remedy)
    assert get_engine("auto") is reference
    assert get_engine("auto") is reference
    assert [(r.name, r.levelname, r.getMessage()) for r in caplog.records] == [
        ("bptt.engine", "WARNING", line)
    ]
    with pytest.raises(InvalidInput) as caught:
        get_engine("compiled")
    assert str(caught.value) == message
    assert len(caplog.records) == 1


def test_without_llvmlite(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    assert_falls_back(caplog, "no llvmlite", "pip install 'llvmlite>=0.45'")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 3))
    auto, numpy = (Recurrent("lstm", 3, 4, engine=name) for name in ("auto", "numpy"))
    np.testing.assert_array_equal(auto.forward(x)[0], numpy.forward(x)[0])


def test_an_old_llvmlite(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    old = types.ModuleType("llvmlite")
    old.__version__ = "0.44.0"  # type: ignore[attr-defined]  # a module made here
    monkeypatch.setitem(sys.modules, "llvmlite", old)
    assert_falls_back(caplog, "llvmlite 0.44.0", "pip install --upgrade 'llvmlite>=0.45'")


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("0.45.0", (0, 45)), ("0.45.0rc1", (0, 45)), ("1.2", (1, 2)), ("0.50.0+build.3", (0, 50)), ("2", (2,))],
)
def test_versions(version: str, numbers: tuple[int, ...]) -> None:
    assert availability._numbers(version) == numbers


def test_the_oldest_version_is_the_one_required() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'"llvmlite>=([\d.]+)"', text) == [".".join(map(str, LLVMLITE))]


def test_a_32_bit_python(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("sys.maxsize", 2**31 - 1)
    assert_falls_back(caplog, "a 32-bit Python", "install a 64-bit one")


@needs_llvmlite
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("Could not find the library. It is not there"), "Could not find the library"),
        (RuntimeError("No available targets are compatible with triple\nmore"),
         "No available targets are compatible with triple"),
        (RuntimeError(), "RuntimeError"),
        (ImportError("DLL load failed", name="llvmlite.binding.ffi"), "DLL load failed"),
    ],
)  # fmt: skip
def test_an_llvmlite_that_does_not_work(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import llvmlite

    from bptt.engine.compiled.llvm import machine_code

    def fail() -> None:
        raise error

    monkeypatch.setattr(machine_code, "try_out", fail)
    got = f"llvmlite {llvmlite.__version__}, which does not work here ({told})"
    assert_falls_back(caplog, got, "pip install --force-reinstall 'llvmlite>=0.45'")


@needs_llvmlite
def test_a_mistake_of_ours_is_no_reason_to_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bptt.engine.compiled.llvm.machine_code", None)
    with pytest.raises(ModuleNotFoundError):
        get_engine("auto")


@needs_llvmlite
def test_code_that_computes_wrongly_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from bptt.engine.compiled.llvm import machine_code

    machine_code.try_out()
    right: Any = machine_code._link
    monkeypatch.setattr(machine_code, "_link", lambda *a: {**right(*a), "trial": lambda _: None})
    with pytest.raises(RuntimeError, match="computes wrongly"):
        machine_code.try_out()


@needs_llvmlite
def test_a_native_library_that_is_missing(tmp_path: Path) -> None:
    spec = find_spec("llvmlite")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(
        Path(spec.origin).parent,
        tmp_path / "llvmlite",
        ignore=shutil.ignore_patterns("*.so", "*.dylib", "*.dll", "tests", "__pycache__"),
    )
    done = run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n{PROGRAM}")
    assert done.returncode == 0, done.stderr
    engines, message, shape = done.stdout.splitlines()
    assert (engines, shape) == ("numpy numpy", "(1, 4, 3)")
    assert "which does not work here (Could not find" in message
    (line,) = done.stderr.splitlines()
    assert line.startswith("bptt.engine WARNING bptt runs on NumPy")


@needs_llvmlite
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_memory_that_may_not_be_executed() -> None:
    # PR_SET_MDWE, what systemd's MemoryDenyWriteExecute asks for: no page may become executable from now on.
    refuse = "import ctypes, sys\nsys.exit(77) if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) else None\n"
    done = run(refuse + PROGRAM)
    if done.returncode == 77:
        pytest.skip("this kernel does not know PR_SET_MDWE")
    assert done.returncode == 0, done.stderr
    line, message = say(
        "no memory that may be executed", "allow it (SELinux: execmem; systemd: MemoryDenyWriteExecute=no)"
    )
    assert done.stdout.splitlines() == ["numpy numpy", message, "(1, 4, 3)"]
    assert done.stderr.splitlines() == [f"bptt.engine WARNING {line}"]


@needs_llvmlite
def test_auto_is_compiled_where_nothing_is_in_the_way(caplog: pytest.LogCaptureFixture) -> None:
    if find_obstacle() is not None:
        pytest.skip(f"it cannot run here: {find_obstacle()}")
    assert get_engine("auto") is get_engine("compiled")
    assert get_engine("auto").NAME == "compiled"
    assert caplog.records == []


def test_a_network_that_is_built_and_never_run_loads_no_llvmlite() -> None:
    done = run(
        "import sys, bptt\n"
        "net = bptt.Network(bptt.Recurrent('lstm', 3, 5))\n"
        "net.summary()\n"
        "assert not [name for name in sys.modules if name.startswith('llvmlite')]\n"
    )
    assert done.returncode == 0, done.stderr
