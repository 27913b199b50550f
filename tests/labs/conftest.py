"""Exercises graded without a process of their own: many wrong solutions, none of which loops or crashes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bptt.labs.exercises import child, subprocess_run


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `grade` run the file here; what the process of its own is for, test_exercises.py tests."""
    monkeypatch.setattr(child.faulthandler, "dump_traceback_later", lambda *_, **__: None)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(folder: Path, *_: object) -> int:
        child.main(folder)
        return 0

    monkeypatch.setattr(subprocess_run, "_run", run)
