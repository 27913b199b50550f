"""What users get: a wheel that holds every file of the package, and requirements that leave room for others."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import bptt
from tests.conftest import REPOSITORY

SOURCE = REPOSITORY / "src"


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"bptt-{bptt.__version__}-py3-none-any.whl"
    files = {
        path.relative_to(SOURCE).as_posix()
        for path in (SOURCE / "bptt").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"bptt/py.typed", "bptt/data/weather/embedded/nyc_lga_2013.csv.gz"} <= files
    held = set(zipfile.ZipFile(wheel).namelist())
    assert sorted(files - held) == []
    assert [name for name in held if name.endswith("/licenses/LICENSE")]


def test_no_requirement_is_pinned() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    requirements = [*project["dependencies"], *(line for extra in extras for line in extra)]
    bounded = [line for line in requirements if not line.startswith("bptt[")]
    assert len(bounded) > len(project["dependencies"])
    assert [line for line in bounded if ">=" not in line or "==" in line or "<" in line] == []


def test_every_requirement_has_its_row() -> None:
    page = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    names = {
        line.split(">=")[0] for line in [*project["dependencies"], *(x for extra in extras for x in extra)]
    }
    shown = {"torch": "pytorch"}
    assert sorted(name for name in names if shown.get(name, name.split("[")[0]) not in page) == []
