"""`bptt lab addition` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def bptt(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bptt", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


def test_help_says_what_it_shows_and_what_it_follows(tmp_path: Path) -> None:
    done = bptt("lab", "addition", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for words in (
        "digit by digit",
        "Backpropagation in Recurrent Neural Networks",
        "bptt_truncate",
        "--quick",
    ):
        assert words in " ".join(done.stdout.split()).replace("│ ", "")


def test_a_quick_run_prints_json_alone_and_writes_the_report(tmp_path: Path) -> None:
    done = bptt(
        "lab", "addition", "--quick", "--seeds", 1, "--seed", 3, "--json", "-", "--out", "here", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert numbers["lab"] == "addition"
    assert numbers["seeds"] == [3]
    assert "training, interleaved digits" in done.stderr
    assert f"report: {Path('here') / 'report.html'}" in done.stderr
    assert "bptt lab addition --seed 3 --seeds 1 --quick" in (tmp_path / "here" / "report.html").read_text()


def test_a_folder_that_cannot_be_made_is_one_line_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = bptt("lab", "addition", "--quick", "--out", "file/inside", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().startswith("bptt: out must be a folder")
    assert "\n" not in done.stderr.strip()
