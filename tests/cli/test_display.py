"""What a command shows while it works."""

from __future__ import annotations

from itertools import chain, repeat

import pytest

from bptt.cli import display
from bptt.cli.display import Display


def test_steps_are_counted_in_english(capsys: pytest.CaptureFixture[str]) -> None:
    with Display(quiet=False, to_stderr=False).progress() as notify:
        notify("the cliff", 0, 1)
        notify("the cliff", 1, 1)
        notify("the echo", 1700, 1700)
    assert capsys.readouterr().out == "  the cliff: 1 step done\n  the echo: 1,700 steps done\n"


def test_a_long_work_is_told_of_now_and_then_where_no_bar_can_be_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = chain([100.0, 104.9, 105.25, 110.0, 111.0, 117.0], repeat(200.0))
    monkeypatch.setattr(display, "monotonic", clock.__next__)
    with Display(quiet=False, to_stderr=False).progress(lines=False) as notify:
        for done in (1, 3, 5, 6, 7, 8):
            notify("training", done, 8)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "  training: 37 % in 5 s\n  training: 75 % in 11 s\n  training: 87 % in 17 s\n"


def test_quiet_is_quiet_however_long_it_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "PAUSE", 0.0)
    with Display(quiet=True, to_stderr=False).progress(lines=False) as notify:
        notify("training", 3, 8)
    assert capsys.readouterr() == ("", "")


def test_quiet_writes_paths_without_rich(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = Display(quiet=True, to_stderr=True)
    quiet.line("a remark")
    quiet.always("report: a/[red]very long[/red].html" + 200 * "x")
    assert "console" not in vars(quiet)
    assert capsys.readouterr() == ("", "report: a/[red]very long[/red].html" + 200 * "x" + "\n")


def test_a_reader_who_has_left_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(display, "PAUSE", 0.0)
    monkeypatch.setattr(display.typer, "echo", leave)
    with Display(quiet=False, to_stderr=False).progress(lines=False) as notify:
        notify("training", 3, 8)
