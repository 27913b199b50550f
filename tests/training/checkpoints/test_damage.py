"""Files that are damaged, or were made to harm, are refused in one line, before their arrays are read."""

from __future__ import annotations

import json
import logging
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.errors import FileFormatError, InvalidInput
from bptt.files.model import ENTRY
from bptt.training import read_checkpoint, train
from tests.files.sealing import resealed
from tests.training.checkpoints.kept_run import DATA, SETTINGS, refused, write_one
from tests.training.setups import assert_same_bits, copy_of, make_net


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_one(tmp_path_factory.mktemp("kept"))


def rewritten(
    checkpoint: Path, path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]
) -> Path:
    """Write the file with its header changed: `change(description, header)`."""
    raw = checkpoint.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    description = json.loads(header["__metadata__"][ENTRY])
    END[0] = len(raw) - 8 - length
    change(description, header)
    header["__metadata__"][ENTRY] = json.dumps(description).replace(f'"{HUGE}"', HUGE)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])
    return path


def renamed(old: str, new: str) -> Callable[[dict[str, Any], dict[str, Any]], object]:
    return lambda description, header: header.update({new: header.pop(old)})


def nested(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = {"class": "x", "a": found}
    return found


# Stands in the file without its quotes.
HUGE = "1e999"

# Where the arrays of the file at hand end.
END = [0]

BROKEN: list[tuple[Callable[[dict[str, Any], dict[str, Any]], object], str]] = [
    (lambda d, h: d.update(version=2), "version of the format must be 1. Got 2: written by a newer bptt"),
    (lambda d, h: d.update(version=0), "version of the format must be 1. Got 0"),
    (lambda d, h: d.update(version=True), "version of the format must be 1. Got True"),
    (lambda d, h: d.update(format="other"), "format must be 'bptt'. Got 'other'"),
    (lambda d, h: d.update(kind="x" * 999), "must be a checkpoint that bptt.train wrote. Got kind 'xxx"),
    (lambda d, h: d.update(extra=[]), "config and extra must be dictionaries"),
    (lambda d, h: d.pop("config"), "config and extra must be dictionaries"),
    (lambda d, h: d["extra"].update(step=-1), "step must be a whole number of at least 0. Got -1"),
    (lambda d, h: d["extra"].update(step=7), "history.rows must have shape (step, 3) = (7, 3)"),
    (lambda d, h: d["extra"].update(told=7), "told of 7"),
    (lambda d, h: d["extra"].update(told="6"), "told must be a whole number"),
    (lambda d, h: d["extra"].update(ended=1), "ended must be a bool. Got 1"),
    (lambda d, h: d["extra"].update(seconds=10**400), "seconds must be a float. Got 1000"),
    (lambda d, h: d["extra"].update(versions=None), "versions must be a dict. Got None"),
    (lambda d, h: d["extra"].pop("best"), "best must be a dictionary. Got None"),
    (lambda d, h: d["extra"]["best"].update(seen=4), "best must have seen 0..3 evaluations. Got 4"),
    (lambda d, h: d["extra"]["best"].update(step=None), "best must have seen 0..3 evaluations. Got 3"),
    (lambda d, h: d["extra"]["best"].update(lowest=None), "lowest must be a number. Got None"),
    (lambda d, h: d["config"].pop("network"), "network must be None as in"),
    (lambda d, h: h.pop("history.validation"), "must"),
    (renamed("best.readout.b_y", "best.readout.b"), "arrays best.* must have names, dtypes and shapes of weights.*"),
    (renamed("before.readout.b_y", "before.readout.b"), "arrays before.* must have names"),
    (renamed("history.rows", "rows"), "history.rows must have shape"),
    (renamed("history.validation", "x"), "history.validation must have shape (evaluations, 2). Got ()"),
    (renamed("slots.m.readout.b_y", "slots.n"), "slots must be those of its run, m.readout.b_y float64 of shape (2,)"),
    (renamed("recorded.steps", "carried.z"), "carried must be those of its run, y_hat float64 of shape"),
    (
        lambda d, h: [h.update({f"slots.{k}": h.pop(k)}) for k in list(h) if k.startswith("best.")],
        "arrays best.* must have names, dtypes and shapes of weights.*. Got others",
    ),
    (renamed("before.readout.b_y", "more"), "must hold only arrays of a run. Got 'more'"),
    (renamed("recorded.steps", "recorded.more"), "recorded.steps must have shape (looks,), at most one a step"),
    (
        lambda d, h: h.update({"recorded.more": {**h["weights.readout.b_y"], "shape": [0], "data_offsets": 2 * END}}),
        "recorded must be those of its run, more none. Got float64 of shape (0,)",
    ),
    (
        renamed("recorded.weight_norms.readout.b_y", "recorded.snapshots.readout.b_y"),
        "recorded must be those of its run, weight_norms.readout.b_y float64 of shape (3,). Got none",
    ),
    # Numbers that JSON can say and no file of ours holds; texts that are long, nested or of several lines.
    (lambda d, h: d["extra"].update(seconds=HUGE), "numbers in the header must be finite. Got 1e999"),
    (lambda d, h: d["extra"]["best"].update(lowest=HUGE), "numbers in the header must be finite. Got 1e999"),
    (lambda d, h: d["extra"].update(told=10**4000), "told must be a whole number of at least 0. Got 1000"),
    (lambda d, h: d["extra"]["best"].update(seen=10**4000), "seen must be a whole number of at least 0. Got 1000"),
    (lambda d, h: d["config"].update(batch_size=nested(400)), "batch_size must be x(a=x(a=x(a={"),
    (lambda d, h: d["config"].update(batch_size=[[[[[[8]]]]]]), "batch_size must be [[[[[...]]]]] as in"),
    (lambda d, h: d["config"].update({"a\nb" * 999: 1}), r"a\nba\nb"),
    (lambda d, h: d["config"].update(clip={"class": "Clip\nNorm"}), r"clip must be 'Clip\nNorm' as in"),
    (lambda d, h: h["weights.readout.b_y"].update(shape=["a"] * 9999), "must be whole numbers. Got ['a', 'a',"),
    (lambda d, h: h["weights.readout.b_y"].update(shape=[2] + [1] * 9999), "must be whole numbers. Got [2, 1,"),
    (lambda d, h: h["weights.readout.b_y"].update(shape=[2**47, 2**47]), "must be whole numbers. Got [1407"),
    (lambda d, h: h["weights.readout.b_y"].update(dtype="F\n" * 999), r"must be of dtype F32 or F64. Got 'F\nF\n"),
    (renamed("before.readout.b_y", "before.\n"), "names of arrays must be printable, of at most 400 characters. Got"),
    (renamed("before.readout.b_y", "before." + "y" * 400), "names of arrays must be printable, of at most 400"),
    (
        lambda d, h: [h.update({f"{g}.readout.b": h.pop(f"{g}.readout.b_y")}) for g in ("weights", "before", "best")],
        "weights must be those of its run, readout.b_y float64 of shape (2,). Got none",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BROKEN, ids=[str(k) for k in range(len(BROKEN))])
def test_a_damaged_file(change: Any, message: str, checkpoint: Path, tmp_path: Path) -> None:
    path = rewritten(checkpoint, tmp_path / "run.ckpt", change)
    net = make_net()
    before = copy_of(net)
    with pytest.raises((FileFormatError, InvalidInput)) as caught:
        train(net, DATA, **SETTINGS, resume=path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 350 + len(str(path))
    assert_same_bits(net.parameters, before)


def test_a_file_that_was_cut_off(checkpoint: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    raw, path = checkpoint.read_bytes(), tmp_path / "run.ckpt"
    for length in (0, 5, 9, 200, *rng.integers(200, len(raw), 20)):
        path.write_bytes(raw[:length])
        with pytest.raises(FileFormatError):
            read_checkpoint(path)


def test_weights_that_are_not_finite(checkpoint: Path, tmp_path: Path) -> None:
    raw, path = checkpoint.read_bytes(), tmp_path / "run.ckpt"
    weights = read_checkpoint(checkpoint).weights["layers.0.W_xh"]
    path.write_bytes(raw.replace(weights[1, :2].tobytes(), np.array([np.nan, 1.0]).tobytes()))
    with pytest.raises(
        FileFormatError, match=r"every number of (weights|best)\.layers\.0\.W_xh must be finite"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("key", "place", "value"),
    [("recorded.steps", 1, v) for v in (np.nan, np.inf, -np.inf, 1e300, 2.5, 0.0, -3.0)]
    + [("recorded.steps", 2, 9.0), ("history.validation", 0, 1.5), ("history.validation", 2, 2.0)]
    + [("history.validation", 4, 1e300), ("history.validation", 0, -2.0)],
)
def test_steps_that_nothing_was_seen_at(
    key: str, place: int, value: float, checkpoint: Path, tmp_path: Path
) -> None:
    raw, path = bytearray(checkpoint.read_bytes()), tmp_path / "run.ckpt"
    length = struct.unpack("<Q", raw[:8])[0]
    first = 8 + length + json.loads(raw[8 : 8 + length])[key]["data_offsets"][0] + 8 * place
    raw[first : first + 8] = np.array([value], "<f8").tobytes()
    path.write_bytes(raw)
    resealed(path)
    title = rf"(steps of {key} must be whole numbers of 0\.\.6, increasing|every number of {key} must be finite)\. Got "
    with pytest.raises(FileFormatError, match=title):
        read_checkpoint(path)
    refused(path)


def test_another_version_is_a_warning(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = resealed(
        rewritten(checkpoint, tmp_path / "run.ckpt", lambda d, h: d["extra"]["versions"].update(numpy="1.0"))
    )
    with caplog.at_level(logging.WARNING, "bptt.training"):
        train(make_net(), DATA, **SETTINGS, resume=path)
    assert caplog.messages == [
        f"{path} was written with numpy 1.0, this is {np.__version__}: the last bits may differ from those of one "
        "whole run"
    ]


def test_arrays_are_not_read_before_they_are_known_to_be_those_of_the_run(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that says it has a weight of 8 TB costs nothing: it ends in a hole."""

    def huge(description: dict[str, Any], header: dict[str, Any]) -> None:
        header["slots.z"] = {"dtype": "F64", "shape": [2**40], "data_offsets": [END[0], END[0] + 2**43]}

    path = rewritten(checkpoint, tmp_path / "run.ckpt", huge)
    size = path.stat().st_size
    try:
        os.truncate(path, size + 2**43)
    except OSError as error:
        pytest.skip(f"no sparse file of 8 TB here: {error}")
    said = refused(path)
    assert said == "run.ckpt: slots must be those of its run, z none. Got float64 of shape (1099511627776,)"
