"""`bptt lab NAME --exercise DIR` and `bptt check FILE` as a teacher and a student meet them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bptt.labs.exercises import EXERCISES
from bptt.labs.exercises.template import as_notebook
from tests.labs.exercise_files import solved_with, write_solved

LABS = tuple(EXERCISES)


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)


def bptt(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run("-m", "bptt", *arguments, cwd=cwd)


@pytest.mark.parametrize("lab", LABS)
def test_an_exercise_is_written_once_and_never_over_somebodys_work(lab: str, tmp_path: Path) -> None:
    done = bptt("lab", lab, "--exercise", "out/here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "here"
    names = {f"{lab}_exercise.py", f"{lab}_exercise.ipynb", f"test_{lab}_exercise.py"}
    assert {path.name for path in folder.iterdir()} == names
    script = folder / f"{lab}_exercise.py"
    script.write_text("mine", encoding="utf-8")
    again = bptt("lab", lab, "--exercise", "out/here", cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert "somebody's work" in again.stderr
    assert script.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("lab", LABS)
@pytest.mark.parametrize("ending", ["py", "ipynb"])
def test_holes_are_open_and_counted(lab: str, ending: str, tmp_path: Path) -> None:
    bptt("lab", lab, "--exercise", ".", cwd=tmp_path)
    done = bptt("check", f"{lab}_exercise.{ending}", cwd=tmp_path)
    count = len(EXERCISES[lab].functions)
    assert done.returncode == 1
    assert f"0 of {count} functions are right" in done.stdout
    assert done.stdout.count("is not filled in yet") == count
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("lab", LABS)
def test_the_students_own_tests_fail_with_holes_and_pass_when_filled(lab: str, tmp_path: Path) -> None:
    bptt("lab", lab, "--exercise", ".", cwd=tmp_path)
    # Outside this repository, as a student has it.
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path)
    count = len(EXERCISES[lab].functions)
    assert f"{count} failed" in run(*command, cwd=tmp_path).stdout
    write_solved(tmp_path / f"{lab}_exercise.py", lab, {})
    assert f"{count} passed" in run(*command, cwd=tmp_path).stdout


@pytest.mark.parametrize("lab", LABS)
def test_the_filled_script_runs_and_its_gradient_checks_pass(lab: str, tmp_path: Path) -> None:
    done = run(write_solved(tmp_path / "own.py", lab, {}), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "passed" in done.stdout
    assert "FAILED" not in done.stdout


@pytest.mark.parametrize("lab", LABS)
def test_a_notebook_is_what_the_format_asks_for(lab: str, tmp_path: Path) -> None:
    bptt("lab", lab, "--exercise", ".", cwd=tmp_path)
    book = json.loads((tmp_path / f"{lab}_exercise.ipynb").read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    for cell in book["cells"]:
        code = cell["cell_type"] == "code"
        extra = {"execution_count", "outputs"} if code else set()
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | extra
        assert code or not any(line.startswith("#") and line[1:2].islower() for line in cell["source"])


def test_a_filled_notebook_passes(tmp_path: Path) -> None:
    (tmp_path / "own.ipynb").write_text(as_notebook(solved_with("weather", {})), encoding="utf-8")
    done = bptt("check", "own.ipynb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "12 of 12 functions are right" in done.stdout
    assert done.stderr == ""


def test_a_mistake_is_named_and_the_status_is_one(tmp_path: Path) -> None:
    write_solved(tmp_path / "mine.py", "weather", {"compute_gradient_c": "return y_pred - y_true"})
    done = bptt("check", "mine.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "missing factor: the 2" in done.stdout
    assert done.stderr == (
        "bptt: mine.py must have all 12 functions right. Got 1 that are not: first compute_gradient_c\n"
    )


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("absent.py", None, "does not exist"),
        (".", None, "which is no file"),
        ("notes.txt", "text", "*.ipynb"),
        ("broken.py", "def gradient_h(a:\n", "broken.py, line 1"),
        ("broken.ipynb", "{}", "notebook of format 4"),
        ("other.py", "def something():\n    return 1\n", "--exercise DIR"),
    ],
)
def test_a_file_that_is_none(name: str, text: str | None, words: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = bptt("check", name, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.startswith("bptt: FILE must ")
    assert done.stderr.count("\n") == 1
