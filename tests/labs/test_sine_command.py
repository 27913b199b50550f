"""`bptt lab sine`, as a user meets it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.labs.sliders import assert_can_be_moved_through
from tests.labs.test_sine import PICTURES


def bptt(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bptt", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow  # every picture in four looks
def test_the_command_ends_in_a_table_and_a_report(tmp_path: Path) -> None:
    done = bptt(
        "lab", "sine", "--seed", 1, "--seeds", 1, "--epochs", 1, "--json", "numbers.json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "small, full batch, plain, identity" in done.stdout
    assert "Do gradients explode?" in done.stdout
    assert f"report: {Path('bptt-sine') / 'report.html'}" in done.stdout
    report = (tmp_path / "bptt-sine/report.html").read_text()
    for words in ("bptt lab sine --seed 1 --seeds 1 --epochs 1", "Running freely", "S. Pal, 2023"):
        assert words in report
    assert "A short run: passes over the windows 1 with the full batch, 1 with one sample each" in done.stdout
    assert_can_be_moved_through(report, "\n".join(re.findall(r"^Doctor, .*", done.stdout, re.MULTILINE)))
    for name in PICTURES:
        assert (tmp_path / f"bptt-sine/{name}.png").stat().st_size > 3000, name
    assert (tmp_path / "bptt-sine/best_seed_1.bptt").exists()
    assert json.loads((tmp_path / "numbers.json").read_text())["seeds"] == [1]


def test_help_says_what_it_follows(tmp_path: Path) -> None:
    shown = bptt("lab", "sine", "--help", cwd=tmp_path).stdout
    assert "Sine Wave Prediction" in shown
    assert "sine" in bptt("lab", "--help", cwd=tmp_path).stdout


def test_a_wrong_number_is_refused(tmp_path: Path) -> None:
    done = bptt("lab", "sine", "--epochs", 0, cwd=tmp_path)
    assert done.returncode == 2
    assert not (tmp_path / "bptt-sine").exists()
