"""Every page as a reader has it: its Python runs as it stands, its commands and their options exist."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from bptt.cli.main import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"))
    if "_build" not in path.parts
)
FENCE = re.compile(r"^(```+|:::+)([^\n`]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
# Run quickly enough for every run of the tests, and without a test of their own that runs them and reads their numbers.
QUICK = {
    "docs/index.md",
    "docs/engine.md",
    "docs/streaming.md",
    "docs/forecasting.md",
    "docs/labs/weather.md",
    "docs/labs/addition.md",
    "docs/interop.md",
    "docs/onnx.md",
    "docs/pytorch.md",
}
# What a page's Python needs beyond bptt and the tools of development.
NEEDS = {
    "docs/dask.md": ("distributed",),
    "docs/onnx.md": ("onnx", "onnxruntime"),
    "docs/pytorch.md": ("torch",),
    "docs/sklearn.md": ("sklearn",),
    "docs/sktime.md": ("sktime",),
}
# What is shown but not run: programs with the mistakes that the page is about.
QUOTING = {"docs/errata.md"}
SHELL = {"sh", "bash", "console"}


def own_cell(folder: Path) -> None:
    """The file that the page asks for: its first block above the class that it shows."""
    first = blocks("docs/cells/index.md", "python")[0]
    shown = (ROOT / "tests/cells/foreign.py").read_text(encoding="utf-8")
    leaky = re.search(r"^class LeakyUnit.*?(?=^\S|\Z)", shown, re.MULTILINE | re.DOTALL)
    assert leaky is not None
    (folder / "my_cells.py").write_text(f"{first}\n\n{leaky[0]}", encoding="utf-8")


# What must lie in the folder before the page's Python runs.
PREPARE: dict[str, Callable[[Path], None]] = {"docs/cells/index.md": own_cell}


def blocks(page: str, *languages: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [body for _, language, body in FENCE.findall(text) if language.strip() in languages]


def run(blocks_of_page: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run in one file and one process, in an empty folder; a warning is an error."""
    # What the first block defines, the second uses. In a file, as a cell's source must be readable.
    (folder / "page.py").write_text("\n".join(blocks_of_page), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-W", "error", "page.py"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


WITH_PYTHON = [
    pytest.param(page, marks=() if page in QUICK else pytest.mark.slow)
    for page in PAGES
    if blocks(page, "python")
]


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(page: str, tmp_path: Path) -> None:
    for library in NEEDS.get(page, ()):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"the page needs {library}, which is not installed")
    PREPARE.get(page, lambda _: None)(tmp_path)
    done = run(blocks(page, "python"), tmp_path)
    assert done.returncode == 0, f"{page}:\n{done.stderr}"


def test_pages_are_found_and_a_failure_is_seen(tmp_path: Path) -> None:
    assert {"README.md", "docs/index.md", "docs/labs/weather.md", "docs/cells/index.md"} <= set(PAGES)
    assert len(WITH_PYTHON) >= 15
    assert run(["import bptt\n", "bptt.no_such_name\n"], tmp_path).returncode == 1
    assert run(["import warnings\n", "warnings.warn('here', stacklevel=1)\n"], tmp_path).returncode == 1


def test_python_is_shown_without_being_run_only_where_mistakes_are_quoted() -> None:
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        languages = {language.strip() for _, language, _ in FENCE.findall(text)}
        assert not languages & {"py", "python3", "pycon", "ipython"}, page
        assert "{code-block} python" not in languages or page in QUOTING, page


def commands(page: str) -> list[list[str]]:
    """Return the words of each line of its shell blocks, without comments and prompts."""
    found = []
    for block in blocks(page, *SHELL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words:
                found.append(words)
    return found


def what_is_wrong(words: list[str]) -> str | None:
    """Return what of a command does not exist here, or None."""
    program, *rest = words
    if program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = [word for word in rest if "=" not in word]
        return next((t for t in targets if not re.search(rf"^{t}:", makefile, re.MULTILINE)), None)
    if program == "bptt":
        command: Any = typer.main.get_command(app)
        for word in rest:
            known = getattr(command, "commands", None)
            if known is not None and not word.startswith("-"):
                if word not in known:
                    return word
                command = known[word]
            elif word.startswith("--"):
                options = {
                    name
                    for parameter in command.params
                    for name in (*parameter.opts, *parameter.secondary_opts)
                }
                if word.split("=")[0] not in options | {"--help", "--version"}:
                    return word
        return None
    if rest[:1] == ["-m"] and rest[1:2] and rest[1].startswith("benchmarks"):
        module = ROOT / rest[1].replace(".", "/")
        return None if module.with_suffix(".py").exists() or (module / "__main__.py").exists() else rest[1]
    paths = [word for word in rest if re.fullmatch(r"(tests|docs|scripts|benchmarks)[/\w.]*", word)]
    return next((path for path in paths if not (ROOT / path).exists()), None)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_the_commands_of_a_page_exist(page: str) -> None:
    for words in commands(page):
        assert what_is_wrong(words) is None, words


def test_a_command_that_does_not_exist_is_seen() -> None:
    for line, wrong in (
        ("make nothing", "nothing"),
        ("bptt lab rain", "rain"),
        ("bptt lab weather --no-such", "--no-such"),
        ("bptt lab weather --data nyc --seeds 1", None),
        ("python -m pytest tests/nowhere", "tests/nowhere"),
        ("python -m benchmarks.nothing --job m4", "benchmarks.nothing"),
        ("python -m benchmarks.forecasting --job m4", None),
        ("python -m benchmarks.path_lengths", None),
        ("make demo PYTHON=python3.12", None),
    ):
        assert what_is_wrong(line.split()) == wrong, line
