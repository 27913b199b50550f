"""The checker of the import order, tried on packages made for it, one breach in each."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.import_order import find_violations
from tests.test_architecture import RULES


def make_package(folder: Path, files: Mapping[str, str]) -> Path:
    package = folder / "bptt"
    for name, text in {"__init__.py": "", "errors.py": "", "checks.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return package


BREACHES = {
    "upward": ({"errors.py": "from bptt.checks import check"}, "bptt.errors:1: imports upward: bptt.checks"),
    "upward, of a module": (
        {"losses/__init__.py": "", "losses/loss.py": "from bptt import cells", "cells/__init__.py": ""},
        "bptt.losses.loss:1: imports upward: bptt.cells",
    ),
    "upward, for types only": (
        {
            "errors.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bptt.checks import check"
        },
        "bptt.errors:3: imports upward: bptt.checks",
    ),
    "upward, lazily, by name": (
        {"errors.py": "import importlib\ndef f():\n    importlib.import_module('bptt.checks')"},
        "bptt.errors:3: imports upward: bptt.checks",
    ),
    "root": ({"errors.py": "import bptt"}, "bptt.errors:1: imports the root package"),
    "root, a name of it": ({"errors.py": "from bptt import __version__"}, "bptt.errors:1: imports the root"),
    "root, through a module": (
        {"checks.py": "import bptt.errors"},
        "bptt.checks:1: imports the root package",
    ),
    "relative": ({"checks.py": "from .errors import BpttError"}, "bptt.checks:1: relative import"),
    "relative, the folder": ({"checks.py": "from . import errors"}, "bptt.checks:1: relative import"),
    "upward in a folder": (
        {
            "forecast/fitting/fit.py": "",
            "forecast/fitting/choices/grouping.py": "from bptt.forecast.fitting.fit import fit_panel",
        },
        "bptt.forecast.fitting.choices.grouping:1: imports upward in bptt.forecast.fitting: "
        "bptt.forecast.fitting.fit",
    ),
    "no place in a folder": (
        {"forecast/fitting/extra.py": ""},
        "bptt.forecast.fitting.extra:1: extra has no place in the order of bptt.forecast.fitting",
    ),
    "no level": ({"extra.py": ""}, "bptt.extra:1: bptt.extra has no place in LEVELS"),
    "cycle in a package": (
        {
            "optim/__init__.py": "",
            "optim/a.py": "from bptt.optim.b import f",
            "optim/b.py": "from bptt.optim.c import f",
            "optim/c.py": "from bptt.optim.a import f",
        },
        "cycle: bptt.optim.a -> bptt.optim.b -> bptt.optim.c -> bptt.optim.a",
    ),
    "cycle through the folder": (
        {"optim/__init__.py": "from bptt.optim.a import f", "optim/a.py": "from bptt.optim import f"},
        "cycle: bptt.optim -> bptt.optim.a -> bptt.optim",
    ),
    "cycle hidden in a function": (
        {
            "cli/__init__.py": "",
            "cli/a.py": "def f():\n    from bptt.cli import b",
            "cli/b.py": "import bptt.cli.a as a",
        },
        "cycle: bptt.cli.a -> bptt.cli.b -> bptt.cli.a",
    ),
    "lazy, our own": (
        {"checks.py": "def f():\n    from bptt.errors import BpttError"},
        "bptt.checks:2: stray lazy import of bptt.errors",
    ),
    "lazy, in a method": (
        {"checks.py": "class A:\n    def f(self):\n        if self:\n            import json"},
        "bptt.checks:4: stray lazy import of json",
    ),
    "lazy, a heavy library elsewhere": (
        {"checks.py": "def f():\n    import matplotlib.pyplot as plt"},
        "bptt.checks:2: stray lazy import of matplotlib",
    ),
    "heavy at the top": (
        {"plots/__init__.py": "from matplotlib.figure import Figure"},
        "bptt.plots:1: stray top-level import of matplotlib",
    ),
    "heavy at the top, under a try": (
        {"data/__init__.py": "try:\n    import pandas\nexcept ImportError:\n    pandas = None"},
        "bptt.data:2: stray top-level import of pandas",
    ),
    "computed name": (
        {"checks.py": "import importlib\ndef f(name):\n    importlib.import_module(name)"},
        "bptt.checks:3: imports a module by a computed name",
    ),
    "cell imports cell": (
        {
            "cells/__init__.py": "",
            "cells/lstm.py": "from bptt.cells.gru import GRU",
            "cells/gru.py": "",
        },
        "bptt.cells.lstm:1: a cell imports from its neighbour: bptt.cells.gru",
    ),
}


@pytest.mark.parametrize(("files", "expected"), BREACHES.values(), ids=BREACHES)
def test_the_checker_catches(tmp_path: Path, files: Mapping[str, str], expected: str) -> None:
    found = find_violations(make_package(tmp_path, files), RULES)
    assert [line for line in found if line.startswith(expected)], found


def test_the_checker_lets_pass_what_is_right(tmp_path: Path) -> None:
    files = {
        "__init__.py": "import importlib\ndef __getattr__(name):\n    return importlib.import_module(name)",
        "checks.py": "import json\nimport numpy as np\nfrom bptt.errors import BpttError",
        "optim/__init__.py": "from bptt.optim.a import A",
        "optim/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bptt.optim.b import B",
        "optim/b.py": "import bptt.optim.a as a\nfrom bptt import checks",
        "plots/__init__.py": "def f():\n    from matplotlib.figure import Figure",
        "cli/__init__.py": "import typer\ndef f():\n    from bptt.plots import f",
    }
    assert find_violations(make_package(tmp_path, files), RULES) == []
