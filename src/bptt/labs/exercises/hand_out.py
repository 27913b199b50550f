"""What a teacher hands out: script, notebook and tests, written into a folder."""

from __future__ import annotations

import os
from pathlib import Path

from bptt.atomic import write_atomic
from bptt.checks import check_choice
from bptt.errors import InvalidInput
from bptt.labs.exercises.registry import EXERCISES
from bptt.labs.exercises.template import TEMPLATES, as_notebook, read_template


def hand_out(lab: str, folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write a lab's exercise into a folder: a script and a notebook with holes, and a test file.

    Parameters
    ----------
    lab : {"weather", "addition", "sine"}
    folder : str or path
        Made if it is not there. Nothing in it is overwritten.

    Returns
    -------
    tuple of Path
        Script, notebook, tests.

    Raises
    ------
    InvalidInput
        There is no such exercise, the folder cannot be made, or one of the files is there already.
    """
    exercise = EXERCISES[check_choice("lab", lab, EXERCISES)]
    place = Path(folder)
    script, notebook, tests = (
        place / f"{lab}_exercise.py",
        place / f"{lab}_exercise.ipynb",
        place / f"test_{lab}_exercise.py",
    )
    for path in (script, notebook, tests):
        if path.exists():
            raise InvalidInput(
                f"--exercise must name a folder without {path.name}. Got {place}: it may hold somebody's work, so "
                "nothing was written"
            )
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"--exercise must name a folder that can be made. Got {place}: {error.strerror}"
        ) from None
    text = read_template(lab)
    names = "\n".join(f'    "{name}",' for name in exercise.functions)
    test_text = (TEMPLATES / "test.txt").read_text(encoding="utf-8")
    test_text = test_text.replace("@SCRIPT@", script.name).replace("@FUNCTIONS@", names)
    for path, content in ((script, text), (notebook, as_notebook(text)), (tests, test_text)):
        write_atomic(path, content.encode())
    return script, notebook, tests
