"""What a command shows while it works."""

from __future__ import annotations

import pytest

from bptt.cli.display import Display


def test_steps_are_counted_in_english(capsys: pytest.CaptureFixture[str]) -> None:
    with Display(quiet=False, to_stderr=False).progress() as notify:
        notify("the cliff", 0, 1)
        notify("the cliff", 1, 1)
        notify("the echo", 1700, 1700)
    assert capsys.readouterr().out == "  the cliff: 1 step done\n  the echo: 1,700 steps done\n"
