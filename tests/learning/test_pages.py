"""The Python of the pages on learning rules runs as it stands, and says what the pages say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / "docs" / "learning"

# For each page the numbers that its example prints, by their order, and what they must stay below.
BOUNDS = {"rtrl.md": {0: 1e-13, 2: 0.02}, "kalman.md": {5: 0.002}, "echo_state.md": {2: 0.001}}


@pytest.mark.parametrize("page", sorted(BOUNDS))
def test_the_example_runs(page: str, tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (PAGES / page).read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "example.py").write_text(block, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    numbers = [float(n) for n in re.findall(r"\d+\.\d+(?:e-\d+)?", done.stdout)]
    for place, bound in BOUNDS[page].items():
        assert numbers[place] < bound, done.stdout
