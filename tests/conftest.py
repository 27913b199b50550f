"""What every test shares: a quiet environment, a seeded generator, the files that lie beside the project."""

from __future__ import annotations

import gc
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

# Before anything is imported: pictures need no screen, no test asks the network for anything, and kernels are kept from
# one run of the tests to the next without filling the developer's own cache folder.
os.environ["MPLBACKEND"] = "Agg"
os.environ["BPTT_OFFLINE"] = "1"
os.environ["BPTT_CACHE_DIR"] = str(Path(__file__).resolve().parent.parent / ".pytest_cache" / "bptt")
# Matplotlib tells on stderr where it cannot write to the home folder, and where its list of fonts takes long to make.
os.environ["MPLCONFIGDIR"] = str(Path(__file__).resolve().parent.parent / ".pytest_cache" / "matplotlib")

import numpy as np
import pytest

from bptt.engine.availability import find_obstacle
from bptt.engine.choice import ENGINES

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    """Have the list of fonts made once, before the processes that run the tests begin."""
    folder = Path(os.environ["MPLCONFIGDIR"])
    if not hasattr(config, "workerinput") and not any(folder.glob("fontlist-*.json")):
        folder.mkdir(parents=True, exist_ok=True)
        import matplotlib.font_manager  # noqa: F401  # importing it makes the list


@pytest.fixture(params=["numpy", "compiled"])
def each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let engine="auto" be the one and then the other."""
    obstacle = find_obstacle() if request.param == "compiled" else None
    if obstacle is not None:
        pytest.skip(f"the compiled engine cannot run here: {obstacle.got}")
    monkeypatch.setitem(ENGINES, "auto", ENGINES[request.param])
    return str(request.param)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Return a generator seeded by the test's own name: the same numbers alone and in any order."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture
def no_garbage() -> Iterator[None]:
    """Let nothing be collected: an exception that a signal raises in what a collection calls is lost to the test."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _folder(variable: str, beside: str) -> tuple[Path | None, str]:
    """Return the folder that `variable` names, else the one beside the repository, and why neither is there."""
    named = os.environ.get(variable)
    places = [Path(named)] if named else []
    places.append(REPOSITORY.parent / "shared" / beside)
    found = next((place for place in places if place.is_dir()), None)
    told = f"{variable}={named} is not a folder" if named else f"{variable} is not set"
    return found, f"{told}, and ../shared/{beside} is not there"


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """Return a function from a name (``"beijing_pm25.csv"``) to its path; an absent file skips the test."""

    def find(name: str) -> Path:
        folder, reason = _folder("BPTT_DATA_DIR", "data")
        if folder is None:
            pytest.skip(f"needs {name}, which is not part of the project: {reason}")
        if not (folder / name).exists():
            pytest.skip(f"needs {name}, which is not part of the project: it is not in {folder}")
        return folder / name

    return find


@pytest.fixture(scope="session")
def conformance_dir() -> Path:
    """Return the folder of recurrent-operator test vectors; it skips the test if the folder is absent."""
    folder, reason = _folder("BPTT_CONFORMANCE_DIR", "conformance")
    if folder is None:
        pytest.skip(f"needs the conformance vectors, which are not part of the project: {reason}")
    return folder
