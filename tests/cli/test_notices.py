"""What the library logs, as the command's lines on stderr: one for what is compiled, one for each warning."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bptt.cli import notices
from bptt.engine import get_engine

ONE_ROW = (
    "gradcheck",
    "--cell",
    "elman:tanh",
    "--layers",
    "1",
    "--direction",
    "forward",
    "--state",
    "--ragged",
)


def bptt(*arguments: str, program: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    run = f"import sys\n{program}\nsys.argv = {['bptt', *arguments]!r}\nfrom bptt.cli import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", run],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(get_engine("auto").NAME != "compiled", reason="nothing is compiled here")
def test_a_cold_first_run_says_what_it_compiles_and_the_second_is_silent(tmp_path: Path) -> None:
    first, second = (bptt(*ONE_ROW, BPTT_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr
    (line,) = first.stderr.splitlines()
    assert line.startswith("bptt: compiling for this machine, to be kept for the next run: ")
    assert len(line) < 120
    assert second.stderr == ""
    assert second.stdout == first.stdout


def test_without_llvmlite_one_line_says_so() -> None:
    done = bptt(*ONE_ROW, program='sys.modules["llvmlite"] = None')
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "bptt: bptt runs on NumPy, several times slower than compiled: no llvmlite (pip install 'llvmlite>=0.45')\n"
    )
    assert "the configuration passes" in done.stdout


def test_the_version_names_the_engine() -> None:
    shown = bptt("--version").stdout.strip()
    assert shown.split(", engine ")[1].split(" (")[0] == get_engine("auto").NAME
    without = bptt("--version", program='sys.modules["llvmlite"] = None')
    assert without.stdout.strip().endswith(", engine numpy")


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    logger, own = logging.getLogger("bptt"), logging.getLogger("bptt.engine.compiled")
    level = own.level
    monkeypatch.setattr(notices._notices, "waiting", True)
    notices.show_notices()
    notices.show_notices()  # once is enough
    yield
    logger.removeHandler(notices._notices)
    own.setLevel(level)


def test_one_line_of_what_is_compiled_and_every_warning(
    shown: None, capsys: pytest.CaptureFixture[str]
) -> None:
    own = logging.getLogger("bptt.engine.compiled")
    own.info("compiling %s", "one")
    own.info("compiling two")
    own.warning("not kept")
    logging.getLogger("bptt.engine").info("nobody asked")
    assert capsys.readouterr().err == "bptt: compiling one\nbptt: not kept\n"


def test_quiet_is_for_warnings_only(shown: None, capsys: pytest.CaptureFixture[str]) -> None:
    notices.hush()
    logging.getLogger("bptt.engine.compiled").info("compiling one")
    logging.getLogger("bptt").warning("look out")
    assert capsys.readouterr().err == "bptt: look out\n"
