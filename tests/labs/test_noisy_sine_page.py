"""The Python of docs/labs/noisy-sine.md runs as it stands, and says what the page says."""

from __future__ import annotations

from pathlib import Path

from tests.labs.pages import LABS, printed_numbers


def test_the_example_runs(tmp_path: Path) -> None:
    trained, applied = printed_numbers(LABS / "noisy-sine.md", tmp_path)
    assert trained < 0.02
    # The page's point: it fails on the other series, against 0.24 of always saying 0.
    assert applied > 0.2
