"""Damaged and hostile models, forecasters and checkpoints through every reader: refused in one line, or harmless."""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.cli import main
from bptt.errors import FileFormatError
from bptt.files.model import LARGEST_HEADER
from bptt.models import read_extra
from bptt.training import read_checkpoint, train
from tests.files.hostile import GOLDEN, corpus
from tests.files.sealing import joined, parts_of
from tests.golden.cases import checkpoint_run

# Of memory beyond the file, while it is read: the largest header of the corpus is one of a megabyte.
BEYOND = 4 * 2**20
# Of the process, over all files.
GROWTH = 64 * 2**20
REPOSITORY = Path(__file__).resolve().parents[2]


def run_corpus(folder: Path, stride: int, first: int = 0) -> dict[str, Any]:
    """Read every `stride`-th file in a process of its own; nothing may have gone wrong there."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.files.hostile_run", folder, str(stride), str(first)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=1500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["forbidden"] == []
    assert found["most"] < BEYOND, found["worst"]
    assert found["resident"] < GROWTH
    return found


def test_some_hundred_hostile_files(tmp_path: Path) -> None:
    found = run_corpus(tmp_path, 71)
    assert found["refused"] + found["harmless"] >= 300


@pytest.mark.slow
def test_some_thousand_hostile_files(tmp_path: Path) -> None:
    assert run_corpus(tmp_path, 7, 3)["refused"] >= 2000


def test_there_are_enough_of_them() -> None:
    every = list(corpus())
    assert len(every) > 20_000
    assert sum(each.refused for each in every) > 3_500  # whatever is made of the rest


# ---------------------------------------------------------------- no ordinary files


def resume(path: Path) -> None:
    net, settings = checkpoint_run(np.zeros((90, 3)))
    train(net, **settings, resume=path)


def command(*words: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        sys.argv = ["bptt", *(str(path) if word == "FILE" else word for word in words)]
        main()

    return run


READERS: dict[str, Callable[[Path], object]] = {
    "load": bptt.load,
    "read_extra": read_extra,
    "read_checkpoint": read_checkpoint,
    "resume": resume,
    "inspect": command("inspect", "FILE"),
    "predict": command("predict", "FILE", "none.csv"),
}


@pytest.fixture(params=READERS)
def refuse(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path], str]:
    """Return a function that has a reader refuse a file, and returns what is said."""
    monkeypatch.setattr(sys, "argv", [])

    def told(path: Path) -> str:
        if request.param not in ("inspect", "predict"):
            with pytest.raises(FileFormatError) as caught:
                READERS[request.param](path)
            return str(caught.value)
        with pytest.raises(SystemExit) as ended:
            READERS[request.param](path)
        assert ended.value.code == 2
        said = capsys.readouterr()
        assert said.out == ""
        return said.err.removeprefix("bptt: ").removesuffix("\n")

    return told


@pytest.mark.skipif(sys.platform == "win32", reason="special files as POSIX has them")
def test_what_is_no_ordinary_file(
    refuse: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    os.mkfifo("pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("socket")
    Path("loop").symlink_to("loop")
    Path("to_pipe").symlink_to("pipe")
    for name in ("pipe", "socket", "to_pipe", "/dev/zero", "/dev/null"):
        assert refuse(Path(name)) == f"{name} must be an ordinary file. Got a device or a pipe"
    assert refuse(tmp_path) == f"{tmp_path} must be an ordinary file. Got a folder"
    assert refuse(Path("loop")).startswith("loop must be readable. Got: ")
    listening.close()


def sparse(path: Path, hidden: int) -> Path:
    """Write a model or a checkpoint of so many units of which nothing is there but the header."""
    header, description, _ = parts_of((GOLDEN / path.name).read_bytes())
    shapes = {"W_xh": (3, hidden), "W_hh": (hidden, hidden), "b_h": (hidden,)}
    if path.suffix == ".bptt":
        description["config"]["hidden_size"] = hidden
    made, place = {}, 0
    for name, entry in header.items():
        short = name.rpartition(".")[2]
        large = name.startswith(("layers.0.", "slots.m.layers.0.")) and short in shapes
        shape = shapes[short] if large else entry["shape"]
        end = place + int(np.prod(shape)) * 8
        made[name] = {"dtype": "F64", "shape": list(shape), "data_offsets": [place, end]}
        place = end
    raw = joined(made, {**description, "sha256": "0" * 64}, b"", seal=False)
    path.write_bytes(raw)
    os.truncate(path, len(raw) + place)
    return path


@pytest.mark.parametrize(
    ("name", "reader"), [("stack_elman.bptt", bptt.load), ("checkpoint.ckpt", read_checkpoint)]
)
def test_a_sparse_file_of_gigabytes_is_not_read_as_zeros(
    name: str, reader: Callable[[Path], Any], tmp_path: Path
) -> None:
    try:
        path = sparse(tmp_path / name, 92_000)  # 63 GiB
    except OSError as error:
        pytest.skip(f"no sparse file of 64 GB here: {error}")
    if path.stat().st_blocks * 512 > 2**20:
        pytest.skip("no sparse files here")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        FileFormatError, match=r"must be a whole file\. Got \d+ bytes of its \d+, and holes: "
    ):
        reader(path)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < GROWTH


def test_a_file_beyond_the_memory_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def empty(shape: tuple[int, ...], dtype: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("bptt.files.model.np.empty", empty)
    for name, reader in (("network.bptt", bptt.load), ("checkpoint.ckpt", read_checkpoint)):
        with pytest.raises(FileFormatError, match=r"must fit into memory\. Got arrays of .* GiB"):
            reader(GOLDEN / name)


@pytest.mark.parametrize("inside", ['{"a":0},', "1.5,"])
def test_the_largest_header_costs_some_times_its_size(inside: str, tmp_path: Path) -> None:
    """In a process of its own, as what was once allocated may be kept."""
    path = tmp_path / "m"
    text = '{"a":[' + inside * ((LARGEST_HEADER - 99) // len(inside)) + "0]}"
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode())
    script = (
        "import resource, sys, bptt; from bptt.errors import FileFormatError\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "try: bptt.load(sys.argv[1])\n"
        "except FileFormatError: print((peak() - before) * 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20 * LARGEST_HEADER
