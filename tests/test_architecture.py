"""The one direction of imports: the levels as a list, and what may be loaded late."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import bptt
from bptt.errors import LibraryMissing
from tests.import_order import Rules, Where, find_modules, find_violations, read_edges

PACKAGE = Path(bptt.__file__).parent

# A module imports only from its own level (its own package) and from the levels above its own.
LEVELS = (
    "errors",
    "checks",
    "brief",
    "cached",
    "atomic",
    "interruptions",
    "cache",
    "configs",
    "activations",
    "formulas",
    "losses",
    "initializers",
    "cells",
    "engine",
    "network",
    "optim",
    "verify",
    "files",
    "data",
    "training",
    "learning",
    "plots",
    "diagnostics",
    "forecast",
    "models",
    "interop",
    "sklearn",
    "sktime",
    "torch",
    "report",
    "labs",
    "cli",
    "__main__",
)


# Slow to load, so loaded where it is first needed. A library that is not named here is imported at the top, anywhere.
HEAVY = {
    "PIL": Where(inside=("bptt.plots.save",)),  # comes with matplotlib, which writes its PNGs by it
    "dask": Where(),
    "distributed": Where(inside=("bptt.forecast.fitting.running.cluster",)),
    "llvmlite": Where(top=("bptt.engine.compiled",), inside=("bptt.engine.availability",)),
    "matplotlib": Where(inside=("bptt.plots",)),
    "narwhals": Where(inside=("bptt.data",)),
    "numba": Where(top=("bptt.engine.compiled",)),
    "onnx": Where(inside=("bptt.interop",)),
    "pandas": Where(top=("bptt.sktime",)),
    "polars": Where(),
    "pyarrow": Where(inside=("bptt.data",)),
    "rich": Where(top=("bptt.cli",), inside=("bptt.cli", "bptt.labs", "bptt.training")),
    "safetensors": Where(inside=("bptt.files",)),
    "sklearn": Where(top=("bptt.sklearn",), inside=("bptt.forecast.scoring.trees",)),
    "sktime": Where(top=("bptt.sktime",)),
    "threadpoolctl": Where(inside=("bptt.engine", "bptt.forecast.scoring.trees")),
    "torch": Where(top=("bptt.torch",), inside=("bptt.interop",)),
    "typer": Where(top=("bptt.cli",)),
}

# Light enough for the top of a file elsewhere; inside a function only here.
LAZY_STANDARD = {
    "http": ("bptt.data.weather.download",),  # nothing but a download needs them
    "urllib": ("bptt.data.weather.download",),
}

# Our own modules that may be imported inside functions: (who, what).
LAZY_OWN = (
    ("bptt.cli", "bptt"),  # a command loads what it needs, so that `bptt --help` answers at once
    ("bptt.engine.choice", "bptt.engine"),  # an engine is loaded when it is chosen
    ("bptt.engine.availability", "bptt.engine.compiled"),  # tried out when it is first asked for
    ("bptt.models", "bptt.forecast"),  # files of networks do without the forecaster's modules
)

# Who may import a module whose name is computed.
DYNAMIC = ("bptt", "bptt.engine.choice", "bptt.forecast")

# In the cells' package these hold no equations. A file of equations imports no other cell.
CELL_SUPPORT = ("bptt.cells", "bptt.cells.plan", "bptt.cells.protocol", "bptt.cells.registry")

# Large folders keep an order of their own, of what is directly in them, as LEVELS does for the package.
FOLDERS = {
    "bptt.data": ("tables", "missing", "regular", "scaling", "examples", "weather"),
    "bptt.training": ("steps", "watching", "checkpoints", "evaluate", "run", "turns", "loop"),
    "bptt.diagnostics.doctor": ("numbers", "finding", "evidence", "diseases", "diagnose"),
    "bptt.forecast.fitting": (
        "networks",
        "readouts",
        "trained",
        "choices",
        "intervals",
        "checkup",
        "fitted",
        "ensemble",
        "running",
        "jobs",
        "shelf",
        "fit",
    ),
}


RULES = Rules(LEVELS, HEAVY, LAZY_STANDARD, LAZY_OWN, DYNAMIC, CELL_SUPPORT, FOLDERS)


def test_the_package_keeps_the_import_order() -> None:
    found = find_violations(PACKAGE, RULES)
    assert not found, "\n".join(["", *found])


def test_every_module_was_read() -> None:
    # A checker that finds no files finds no faults.
    modules = find_modules(PACKAGE)
    assert {"bptt", "bptt.errors", "bptt.cells", "bptt.cells.elman", "bptt.cli.main"} <= set(modules)
    edges, _ = read_edges("bptt.cells.elman", modules["bptt.cells.elman"], modules, "bptt", DYNAMIC)
    assert "bptt.cells.protocol" in {edge.target for edge in edges}


def test_no_file_is_a_drawer_for_everything() -> None:
    names = {name.split(".")[-1] for name in find_modules(PACKAGE)}
    assert not names & {"utils", "util", "helpers", "common", "misc", "core"}


def public_order(name: str) -> tuple[int, str]:
    """Return the key that ruff sorts `__all__` by: CONSTANTS, Classes, everything else."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize(
    "name", sorted(name for name, path in find_modules(PACKAGE).items() if path.name == "__init__.py")
)
def test_the_public_names_of_a_package_are_sorted_and_resolve(name: str) -> None:
    try:
        package = importlib.import_module(name)
    except LibraryMissing as error:
        pytest.skip(str(error))
    names = list(getattr(package, "__all__", ()))
    assert names == sorted(set(names), key=public_order)
    assert [public for public in names if getattr(package, public, None) is None] == []


def test_the_root_lists_its_public_names() -> None:
    assert bptt.__all__
    assert set(bptt.__all__) <= set(dir(bptt))
