"""`bptt lab gradients` as a user meets it, and the Python of its page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "labs" / "gradients.md"


def run(arguments: list[object], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_help_says_what_it_shows_and_what_it_follows(tmp_path: Path) -> None:
    done = run(["-m", "bptt", "lab", "gradients", "--help"], tmp_path)
    assert done.returncode == 0
    for words in ("Recurrent models for time series forecasting", "Bengio 1994", "Pascanu 2013", "--quick"):
        assert words in " ".join(done.stdout.split()).replace("│ ", "")


def test_a_quick_run_prints_json_alone_and_writes_the_report(tmp_path: Path) -> None:
    done = run(
        [
            "-m",
            "bptt",
            "lab",
            "gradients",
            "--quick",
            "--seeds",
            1,
            "--seed",
            3,
            "--json",
            "-",
            "--out",
            "here",
        ],
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert numbers["lab"] == "gradients"
    assert numbers["seeds"] == [3]
    assert "Elman, none" in done.stderr
    assert f"report: {Path('here') / 'report.html'}" in done.stderr
    assert "bptt lab gradients --seed 3 --seeds 1 --quick" in (tmp_path / "here" / "report.html").read_text()


def test_the_pages_example_runs_and_shows_what_is_left(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "example.py").write_text(block, encoding="utf-8")
    done = run(["-W", "error", "example.py"], tmp_path)
    assert done.returncode == 0, done.stderr
    left = {name: float(share) for name, share, _ in map(str.split, done.stdout.splitlines())}
    assert left["none"] < 1e-25
    assert 1e-8 < left["orthogonal"] < 1e-4
    assert left["lstm_keep"] > 0.1
