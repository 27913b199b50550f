"""The benchmark of many series: every part of a forecaster's work has its line."""

from __future__ import annotations

import sys

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the largest memory")
def test_every_part_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.forecasting.many_series import main

    assert main(["--series", "3", "--rows", "40"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:24].strip() for line in lines[1:]] == [
        "fit", "predict", "intervals of the table", "update by a row each", "save", "load",
    ]  # fmt: skip
    assert all(" GB" in line for line in lines[1:])
