"""One text a lab: from it come the script and the notebook, with holes or filled in by us."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).with_name("templates")

# "    #: hole WHAT" ... "    #: end": our solution, and what the student is asked for in its place.
HOLE = re.compile(r"^( *)#: hole ([^\n]*)\n(.*?)^ *#: end\n", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)


def read_template(lab: str, *, solved: bool = False) -> str:
    """Return a lab's exercise as a script, its cells marked by ``# %%``; with `solved` the holes are filled by us."""
    text = (TEMPLATES / f"{lab}.txt").read_text(encoding="utf-8")
    if solved:
        return HOLE.sub(lambda found: found[3], text)
    return HOLE.sub(lambda found: f'{found[1]}raise NotImplementedError("{found[2]}")\n', text)


def as_notebook(text: str) -> str:
    """Return a notebook, format 4.5, without outputs."""
    parts = CELL.split(text)
    # What stands before the first mark, then mark and body in turn.
    cells = [
        _cell(number, bool(mark), body.strip("\n"))
        for number, (mark, body) in enumerate(zip(parts[1::2], parts[2::2], strict=True))
    ]
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, prose: bool, body: str) -> dict[str, Any]:
    if prose:
        body = "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines())
    common = {"id": f"cell-{number:02d}", "metadata": {}, "source": body.splitlines(keepends=True)}
    if prose:
        return {"cell_type": "markdown", **common}
    return {"cell_type": "code", "execution_count": None, "outputs": [], **common}
