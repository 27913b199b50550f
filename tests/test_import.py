"""What `import bptt` and `bptt --help` load: next to nothing, and never a heavy library."""

from __future__ import annotations

import subprocess
import sys

import pytest

FRAMES = {"narwhals", "pandas", "polars", "pyarrow"}
HEAVY = {"matplotlib", "numba", "sklearn", "sktime", "torch", *FRAMES}

IMPORT_ROOT = "import bptt"
SHOW_HELP = """
from bptt.cli import main
sys.argv = ["bptt", "--help"]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""


def loaded_by(program: str) -> set[str]:
    """Return the top-level names of the modules that a new interpreter holds after `program`."""
    report = 'print("LOADED", *sorted({name.split(".")[0] for name in sys.modules}))'
    run = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\n{report}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    last = run.stdout.splitlines()[-1].split()
    assert last[0] == "LOADED"
    return set(last[1:])


def test_the_probe_sees_what_is_loaded() -> None:
    assert "matplotlib" in loaded_by("import matplotlib")


def test_importing_the_root_loads_nothing_heavy() -> None:
    loaded = loaded_by(IMPORT_ROOT)
    assert "bptt" in loaded
    assert not loaded & {*HEAVY, "rich", "safetensors", "typer"}


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_by(SHOW_HELP)
    assert "typer" in loaded
    assert not loaded & {*HEAVY, "numpy"}


@pytest.mark.parametrize(
    "module", ["cells", "network", "optim", "verify", "training", "data", "plots", "models"]
)
def test_the_public_modules_load_nothing_heavy(module: str) -> None:
    loaded = loaded_by(f"import bptt.{module}")
    assert not loaded & {*HEAVY, "rich", "safetensors", "typer"}


def test_a_lab_loads_no_forecaster() -> None:
    program = (
        "import bptt.forecast, bptt.labs.weather.report\n"
        "assert hasattr(bptt.forecast, 'persistence') and not hasattr(bptt.forecast, 'nothing')\n"
        "assert set(dir(bptt.forecast)) == set(bptt.forecast.__all__)\n"
        "assert 'bptt.forecast.forecaster' not in sys.modules\n"
        "bptt.forecast.Forecaster\n"
        "assert 'bptt.forecast.forecaster' in sys.modules"
    )
    assert "bptt" in loaded_by(program)
