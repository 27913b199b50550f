"""A student's file, script or notebook: its code in chunks, and the names that it defines."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bptt.errors import FileFormatError, FileMissing


@dataclass(frozen=True)
class StudentFile:
    """What is to be graded.

    Attributes
    ----------
    path : Path
    chunks : tuple of (label, source)
        A script is one chunk, a notebook one a cell; a traceback names the label.
    names : frozenset of str
        Functions and classes defined at the top, and methods as ``Class.method``.
    """

    path: Path
    chunks: tuple[tuple[str, str], ...]
    names: frozenset[str]


def read_student_file(path: Path) -> StudentFile:
    """Read a script or a notebook.

    Raises
    ------
    FileMissing, FileFormatError
        There is no such file; it is neither; its Python does not parse (with the line).
    """
    if not path.is_file():
        why = "which is no file" if path.exists() else "which does not exist"
        raise FileMissing(f"FILE must be a filled-in exercise. Got {path}, {why}")
    if path.suffix not in (".py", ".ipynb"):
        raise FileFormatError(f"FILE must be a script (*.py) or a notebook (*.ipynb). Got {path}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"FILE must be readable text in UTF-8. Got {path}: {error}") from None
    chunks = ((path.name, text),) if path.suffix == ".py" else _cells(path, text)
    names: set[str] = set()
    for label, source in chunks:
        names |= _names(path, label, source)
    return StudentFile(path, chunks, frozenset(names))


def _cells(path: Path, text: str) -> tuple[tuple[str, str], ...]:
    try:
        cells: list[dict[str, Any]] = json.loads(text)["cells"]
        code = [
            (number, "".join(cell["source"]))
            for number, cell in enumerate(cells, 1)
            if cell["cell_type"] == "code"
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FileFormatError(
            f"FILE must be a notebook of format 4. Got {path}: {type(error).__name__}: {error}"
        ) from None
    return tuple((f"{path.name}, cell {number}", _without_magic(source)) for number, source in code)


def _without_magic(source: str) -> str:
    """Blank out the notebook's own commands, so that line numbers stay."""
    lines = source.splitlines()
    if lines and lines[0].startswith("%%"):
        return ""
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines)


def _names(path: Path, label: str, source: str) -> set[str]:
    try:
        tree = ast.parse(source, label)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        at = f", line {line}" if line else ""
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        place = str(path) + label.removeprefix(path.name) + at
        raise FileFormatError(f"FILE must be Python that parses. Got {place}: {message}") from None
    names: set[str] = set()
    for node in tree.body:
        names |= _defined(node)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for part in node.body for name in _defined(part)}
    return names


def _defined(node: ast.stmt) -> set[str]:
    """Return the names that a statement gives a meaning; a function may also be a lambda with a name."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    return set()
