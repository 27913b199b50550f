"""`bptt lab noisy-sine`, as a user meets it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.labs.sliders import assert_can_be_moved_through
from tests.labs.test_noisy_sine import PICTURES


def bptt(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bptt", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow  # every picture in four looks
def test_the_command_ends_in_a_table_and_a_report(tmp_path: Path) -> None:
    done = bptt(
        "lab",
        "noisy-sine",
        "--quick",
        "--seeds",
        1,
        "--seed",
        2,
        "--json",
        "n.json",
        "--out",
        "here",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "as printed, to the letter" in done.stdout
    assert f"report: {Path('here') / 'report.html'}" in done.stdout
    report = (tmp_path / "here/report.html").read_text()
    assert "bptt lab noisy-sine --seed 2 --seeds 1 --quick" in report
    for words in ("Another series", "The first epochs", "M. Hohle"):
        assert words in report
    assert json.loads((tmp_path / "n.json").read_text())["lab"] == "noisy-sine"
    assert "A quick run: 90 neurons and 40 epochs" in done.stdout
    assert_can_be_moved_through(report, "\n".join(re.findall(r"^Doctor, .*", done.stdout, re.MULTILINE)))
    for name in PICTURES:
        assert (tmp_path / f"here/{name}.png").stat().st_size > 3000, name
    assert (tmp_path / "here/sane.bptt").exists()


def test_full_and_quick_exclude_each_other(tmp_path: Path) -> None:
    done = bptt("lab", "noisy-sine", "--full", "--quick", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "bptt: --full and --quick must not be given together. Got both: choose one\n"
    assert not (tmp_path / "bptt-noisy-sine").exists()


def test_help_says_what_it_follows(tmp_path: Path) -> None:
    shown = bptt("lab", "noisy-sine", "--help", cwd=tmp_path).stdout
    assert "from Scratch" in shown
    assert "3000 epochs" in shown
    assert "noisy-sine" in bptt("lab", "--help", cwd=tmp_path).stdout
