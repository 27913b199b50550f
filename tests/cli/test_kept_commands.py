"""`bptt fit --checkpoint` and `bptt backtest --checkpoint`: interrupted, they go on; of other work they say so."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bptt.cli.main import app
from bptt.errors import FileFormatError, FileMissing, InvalidInput
from bptt.forecast.fitting.networks import members
from bptt.forecast.saving.fit_file import count_kept

QUICK = ("--target", "y", "--hidden", "5", "--ensemble", "2", "--threads", "1", "--no-trees", "-q")
FIT = ("fit", "t.csv", *QUICK, "--out", "m.safetensors", "--checkpoint", "t.ckpt")
BACKTEST = ("backtest", "t.csv", *QUICK, "--folds", "2", "--checkpoint", "t.ckpt")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> Path:
    """Return the current folder, with a table of waves in it that networks are kept for."""
    t = np.arange(240)
    y = np.abs(np.sin(t * 0.7)) + 0.05 * rng.standard_normal(t.size)
    (tmp_path / "t.csv").write_text("y\n" + "".join(f"{value:.5f}\n" for value in y))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def interrupt_after(count: int, patch: pytest.MonkeyPatch) -> None:
    """Let Ctrl-C come after so many trainings."""
    train, made = members.train, list[int]()

    def stopped(*given: Any, **settings: Any) -> Any:
        if len(made) == count:
            raise KeyboardInterrupt
        made.append(1)
        return train(*given, **settings)

    patch.setattr(members, "train", stopped)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


def test_an_interrupted_fit_says_how_it_goes_on_and_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*FIT).exit_code == 0
    wanted, count = (folder / "m.safetensors").read_bytes(), count_kept("t.ckpt")
    for name in ("t.ckpt", "m.safetensors", "report.html"):
        (folder / name).unlink()
    for more in (1, 3):  # once in the test, once in the final fit
        before = count_kept("t.ckpt")
        with monkeypatch.context() as patch:
            interrupt_after(more, patch)
            found = run(*FIT)
        assert found.exit_code == 130
        told = [line for line in found.output.splitlines() if "interrupted" in line]
        kept = before + more
        plural = "" if kept == 1 else "s"
        assert told == [
            f"bptt: interrupted: {kept} network{plural} kept in t.ckpt; the same command goes on from there"
        ]
        assert count_kept("t.ckpt") == kept < count
        assert not (folder / "m.safetensors").exists()
    assert run(*FIT).exit_code == 0
    assert (folder / "m.safetensors").read_bytes() == wanted
    for more, message in (
        (("--hidden", "6"), r"^recipe\.hidden must be 5 as in t\.ckpt, .* Got 6: delete"),
        (("--test", "0.3"), r"^test must be 0\.2 as in t\.ckpt, .* Got 0\.3: delete"),
    ):
        error = run(*FIT, *more).exception
        assert isinstance(error, FileFormatError)
        assert re.search(message, str(error))
    error = run(*FIT, "--checkpoint", "none/t.ckpt").exception
    assert isinstance(error, InvalidInput)
    assert str(error).startswith(
        "--checkpoint must name a file in a folder that can be written. Got none/t.ckpt"
    )
    assert isinstance(run(*FIT, "--checkpoint", "t.csv").exception, (FileFormatError, FileMissing))


def test_an_interrupted_backtest_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = run(*BACKTEST).output
    (folder / "t.ckpt").unlink()
    with monkeypatch.context() as patch:
        interrupt_after(2, patch)
        found = run(*BACKTEST)
    assert found.exit_code == 130
    assert "interrupted: 2 networks kept in t.ckpt; the same command goes on from there" in found.output
    assert run(*BACKTEST).output == wanted


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send to one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_with_its_status_and_one_line(number: signal.Signals, folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bptt", *FIT, "--ensemble", "90"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    until = time.monotonic() + 60
    while count_kept("t.ckpt") < 3 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == (130 if number == signal.SIGINT else 143), errors
    (line,) = [each for each in errors.splitlines() if "interrupted" in each or "terminated" in each]
    assert re.fullmatch(
        r"bptt: interrupted: \d+ networks kept in t\.ckpt; the same command goes on from there", line
    )
    assert count_kept("t.ckpt") >= 3
    assert not list(folder.glob("*.part"))
