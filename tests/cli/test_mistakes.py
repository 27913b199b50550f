"""Mistakes on the command line are told as all others are: one line, exit status 2."""

from __future__ import annotations

import sys

import pytest

from bptt.cli.main import main


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("fit a.csv --horizon 0", "--horizon must be a whole number of at least 1. Got 0: bptt fit -h says"),
        (
            "fit a.csv --horizon=x",
            "--horizon must be a whole number of at least 1. Got 'x': bptt fit -h says",
        ),
        ("fit a.csv --test 2", "--test must be a number from 0 to 0.9. Got 2: bptt fit -h says"),
        (
            "lab weather --seeds -1",
            "--seeds must be a whole number of at least 1. Got -1: bptt lab weather -h",
        ),
        ("predict a b --coverage high", "--coverage must be a number. Got 'high': bptt predict -h says"),
        ("fit --horizn 3 a.csv", "option must be one that bptt fit has. Got --horizn: perhaps "),
        ("fit", "CSV must be given. Got none: bptt fit -h shows how"),
        ("predict", "MODEL must be given. Got none: bptt predict -h shows how"),
        ("fit a.csv --horizon", "--horizon must come with a value. Got none: "),
        ("fit a.csv --no-trees=3", "--no-trees must stand alone, without a value. Got 3: leave"),
        ("fit a.csv b.csv", "bptt fit must have no further arguments. Got b.csv: "),
        (
            "train",
            "command must be one of fit, backtest, check, demo, gradcheck, predict, inspect, lab. Got 'train'",
        ),
        (
            "lab rain",
            "command must be one of addition, weather, gradients, noisy-sine, sine. Got 'rain': bptt lab",
        ),
    ],
)
def test_one_line(
    words: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bptt", *words.split()])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capsys.readouterr()
    assert (caught.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith(f"bptt: {told}")


@pytest.mark.parametrize("words", ["", "lab", "fit -h", "--version"])
def test_help_is_no_mistake(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bptt", *words.split()])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capsys.readouterr()
    assert caught.value.code == (0 if "-" in words else 2)
    assert "bptt" in said.out
    assert said.err == ""
