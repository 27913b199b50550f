"""The Python of docs/labs/sine.md runs as it stands, and says what the page says."""

from __future__ import annotations

from pathlib import Path

from tests.labs.pages import LABS, printed_numbers


def test_the_example_runs(tmp_path: Path) -> None:
    one_step, norm, freely = printed_numbers(LABS / "sine.md", tmp_path)
    assert one_step < 0.01
    assert freely < 0.05
    assert norm < 100
