"""What an interruption leaves as exit status, wherever it was in the program."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


@pytest.mark.parametrize("where", ["raise KeyboardInterrupt", "exec('raise KeyboardInterrupt')"])
def test_an_interruption_in_code_made_of_text_ends_with_130_too(where: str, tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        textwrap.dedent(f"""
        from bptt.cli import main
        from bptt.cli.apps import app

        @app.command()
        def stop() -> None:
            {where}

        main()
        """)
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted", "stop"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "bptt: interrupted\n")
