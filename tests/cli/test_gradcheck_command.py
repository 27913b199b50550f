"""`bptt gradcheck` on our cells, on a user's, and on one whose backward is wrong."""

from __future__ import annotations

from pathlib import Path

from tests.cli.test_weather_command import bptt

RIGHT = """
from bptt import Cell
from bptt.activations import tanh


class Minimal(Cell):
    name = "minimal"
    gates = ("h",)

    @staticmethod
    def forward(a_h, h_prev):
        n = tanh(a_h)
        h = 0.5 * h_prev + 0.5 * n
        return h, n

    @staticmethod
    def backward(dh, n):
        dh_prev = 0.5 * dh
        da_h = 0.5 * dh * (1 - n * n)
        return da_h, dh_prev
"""


def test_one_configuration_shows_every_tensor(tmp_path: Path) -> None:
    flags = ("--layers", 1, "--direction", "forward", "--even", "--state", "--no-feedback")
    done = bptt("gradcheck", "--cell", "gru", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("layers.0.W_xh", "layers.0.W_hh", "layers.0.b_h", "layers.0.b_hn", "x ", "state.h"):
        assert name in done.stdout


def test_combinations_of_one_cell_pass(tmp_path: Path) -> None:
    done = bptt("gradcheck", "--cell", "elman:relu", "--layers", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "configurations pass" in done.stdout
    for name in ("feedback", "ragged, state", "bidirectional", "reverse"):
        assert name in done.stdout
    assert "WRONG" not in done.stdout


def test_a_users_cell_is_checked_and_a_wrong_backward_is_caught(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(RIGHT.replace("dh_prev = 0.5 * dh", "dh_prev = 0.25 * dh"))
    options = ("--layers", 1, "--direction", "forward")
    right = bptt("gradcheck", "--file", "right.py", *options, cwd=tmp_path)
    assert right.returncode == 0, right.stderr
    assert "minimal" in right.stdout
    wrong = bptt("gradcheck", "--file", "wrong.py", *options, cwd=tmp_path)
    assert wrong.returncode == 1
    assert "WRONG" in wrong.stdout
    # On a first run a line on what is being compiled stands before it.
    assert "bptt: gradcheck must pass" in wrong.stderr
    assert "Minimal.backward" in wrong.stderr
    assert "dh_prev" in wrong.stderr


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    for arguments, words in (
        (("--cell", "gruu"), "gruu"),
        (("--file", "absent.py"), "absent.py"),
        (("--direction", "sideways"), "sideways"),
        (("--dtype", "int8"), "int8"),
    ):
        done = bptt("gradcheck", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
