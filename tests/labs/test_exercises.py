"""Grading: what becomes of code that fails, loops, prints or ends the process."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bptt.errors import FileFormatError, InvalidInput
from bptt.labs.exercises import Grade, grade, hand_out
from bptt.labs.exercises.template import as_notebook
from bptt.verify import mistakes
from tests.labs.exercise_files import solved_with, write_solved


def graded(tmp_path: Path, body: str, *, seconds: float = 20.0) -> Grade:
    path = write_solved(tmp_path / "student.py", "weather", {"compute_gradient_c": body})
    return grade(path, seconds=seconds)


def line_of(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return 1 + next(k for k, line in enumerate(lines) if text in line)


def test_an_exception_comes_back_with_its_line(tmp_path: Path) -> None:
    found = graded(tmp_path, "scale = 2\nreturn scale * [y_pred][7]")
    (finding,) = found.of("compute_gradient_c")
    line = line_of(tmp_path / "student.py", "[y_pred][7]")
    assert finding.says == f"student.py, line {line}: IndexError: list index out of range"
    assert (finding.mistake, len(found.right)) == ("error", 11)


def test_the_line_is_the_students_where_numpy_raises(tmp_path: Path) -> None:
    found = graded(tmp_path, "return np.linalg.inv(np.zeros((2, 3)))")
    line = line_of(tmp_path / "student.py", "linalg.inv")
    (finding,) = found.of("compute_gradient_c")
    assert finding.says.startswith(f"student.py, line {line}: LinAlgError")


def test_a_line_of_a_notebook_is_that_of_its_cell(tmp_path: Path) -> None:
    text = as_notebook(solved_with("weather", {"gradient_c": "return 1 / 0"}))
    path = tmp_path / "book.ipynb"
    path.write_text(text, encoding="utf-8")
    cells = json.loads(text)["cells"]
    number, cell = next((k, c) for k, c in enumerate(cells, 1) if any("1 / 0" in s for s in c["source"]))
    line = 1 + next(k for k, s in enumerate(cell["source"]) if "1 / 0" in s)
    (finding,) = grade(path).of("gradient_c")
    assert finding.says == f"book.ipynb, cell {number}, line {line}: ZeroDivisionError: division by zero"


def test_a_loop_without_an_end_is_stopped_and_its_line_named(tmp_path: Path) -> None:
    found = graded(tmp_path, "while True:\n    y_pred = y_pred + 1", seconds=1.0)
    (finding,) = found.of("compute_gradient_c")
    assert finding.mistake == "too slow"
    assert finding.says.startswith("did not end within 1 s, and was at student.py, line ")
    (other,) = found.of("gradient_h")
    assert other.says.startswith("was not judged: compute_gradient_c did not end within 1 s")
    assert found.right == ()


def test_a_file_that_never_gets_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "student.py"
    path.write_text("while True:\n    pass\n" + solved_with("weather", {}), encoding="utf-8")
    found = grade(path, seconds=1.0)
    assert found.right == ()
    start = "was not judged: the file itself did not end within 1 s, and was at student.py, line "
    assert all(finding.says.startswith(start) for finding in found.findings)
    assert {finding.mistake for finding in found.findings} == {"too slow"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("2 * (y_pred - y_true)", "must return numbers. Got None: is there a return?"),
        ('return "a lot"', "must return numbers. Got str"),
        (
            "return np.nan",
            "matches none of the usual mistakes; the first to differ, entry [0] of shape (1,), is nan",
        ),
        ("return 2 * (y_pred - y_true) * (1 + 1e-7)", "right to a few digits only"),
        ("return 12 * (y_pred - y_true)", "6 times ours everywhere"),
        ("return y_pred + y_true", "matches none of the usual mistakes"),
        ("return np.ones((2, 3))", "must have shape (1,). Got (2, 3): none of the usual mistakes"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import os\nos._exit(3)", "ended the process (status 3) instead of returning"),
        ("import os\nos._exit(1)", "ended the process (status 1) instead of returning"),
        ("return eval(input())", "EOFError"),
    ],
)
def test_what_cannot_be_compared_or_explained(tmp_path: Path, body: str, says: str) -> None:
    (finding,) = graded(tmp_path, body).of("compute_gradient_c")
    assert not finding.passed
    assert says in finding.says
    assert "\n" not in finding.says


def test_prints_and_changed_arguments_reach_nobody(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    body = "print('hello')\nhidden[:] = 0\nreturn gradient_y.T @ hidden[1:] + 1"
    path = write_solved(tmp_path / "student.py", "weather", {"gradient_V": body})
    found = grade(path)
    assert len(found.right) == 11
    assert capfd.readouterr() == ("", "")


def test_a_file_that_fails_at_the_bottom_is_graded_and_the_failure_noted(tmp_path: Path) -> None:
    path = tmp_path / "student.py"
    path.write_text(solved_with("weather", {}) + "raise RuntimeError('below')\n", encoding="utf-8")
    found = grade(path)
    assert found.passed
    (note,) = found.notes
    assert note.endswith("RuntimeError: below")
    assert str(found).endswith(note)


def test_a_function_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "student.py"
    path.write_text("compute_gradient_c = lambda y_true, y_pred: 2 * (y_pred - y_true)\n", encoding="utf-8")
    found = grade(path)
    assert found.right == ("compute_gradient_c",)
    (finding,) = found.of("gradient_h")
    assert finding.says == "is not there: the file must define it"


def test_magic_commands_of_a_notebook_are_not_python(tmp_path: Path) -> None:
    book = json.loads(as_notebook(solved_with("weather", {})))
    book["cells"].append({"cell_type": "code", "source": ["%matplotlib inline\n", "!bptt check x.py\n"]})
    book["cells"].append({"cell_type": "code", "source": "%%timeit\nnot python"})
    path = tmp_path / "book.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    assert grade(path).passed


def test_a_module_beside_the_file_does_not_hide_a_library(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError\n", encoding="utf-8")
    (tmp_path / "numpy.py").write_text("raise RuntimeError\n", encoding="utf-8")
    (tmp_path / "beside.py").write_text("TWO = 2\n", encoding="utf-8")
    found = graded(tmp_path, "from beside import TWO\nreturn TWO * (y_pred - y_true)")
    assert found.passed, str(found)


def test_the_page_runs_and_counts_the_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "exercises.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        exec(compile(block, "exercises.md", "exec"), {"__name__": "page"})  # noqa: S102  # our own page
    printed = capsys.readouterr().out
    assert "bptt: dL/dV: is zero everywhere" in printed
    assert "gradient check: passed" in printed
    names = {
        one.name
        for group in vars(mistakes).values()
        if isinstance(group, tuple)
        for one in group
        if isinstance(one, mistakes.Mistake)
    }
    assert f"There are {len(names)} of them" in page


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="lab must be one of"):
        hand_out("gardening", tmp_path)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InvalidInput, match="--exercise must name a folder that can be made"):
        hand_out("weather", tmp_path / "file")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(FileFormatError, match="UTF-8"):
        grade(tmp_path / "bytes.py")
    with pytest.raises(InvalidInput, match="seconds"):
        grade(tmp_path / "bytes.py", seconds=0)
