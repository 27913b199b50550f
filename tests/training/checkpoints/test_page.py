"""The Python of docs/checkpoints.md runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "checkpoints.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(("number", "said", "file"), [(0, "History(", "run.ckpt"), (1, "", "fit.ckpt")])
def test_the_examples_run(number: int, said: str, file: str, tmp_path: Path) -> None:
    assert len(BLOCKS) == 2
    (tmp_path / "example.py").write_text(BLOCKS[number], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(said)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["example.py", file]
