"""Files of version 1 load forever: each kind that was ever written, with what its model said when it was saved.

A failure here is no reason to write the files anew (`make` would not): users have such files. What reads them must be
mended, or, where a number has moved, what computes them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.errors import FileFormatError
from bptt.forecast import Forecaster
from bptt.models import read_extra
from bptt.training import read_checkpoint, train
from tests.golden.cases import FOLDER, FORECASTERS, MODELS, Leaky, checkpoint_run
from tests.golden.outputs import forecasts, outputs

# Of the largest number of each array: sums in another order, on another machine.
FLOAT64, FLOAT32 = 1e-9, 2e-6
# A run of sixteen steps carries such differences along.
TRAINED = 1e-8


def stored(name: str) -> dict[str, Any]:
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as found:
        return dict(found)


def assert_close(found: dict[str, Any], expected: dict[str, Any], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if values.dtype.kind != "f":
            np.testing.assert_array_equal(np.asarray(found[name]), values, err_msg=name)
            continue
        atol = tolerance * np.abs(values).max(initial=0)
        np.testing.assert_allclose(found[name], values, rtol=0, atol=atol, err_msg=name)


def test_no_golden_file_was_written_anew() -> None:
    lines = (FOLDER / "sha256.txt").read_text().splitlines()
    listed = {name: digest for digest, name in map(str.split, lines)}
    there = {
        path.name: path for path in FOLDER.iterdir() if path.name not in ("sha256.txt", ".gitattributes")
    }
    assert there.keys() == listed.keys()
    for name, path in there.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[name], name


@pytest.mark.parametrize("name", [*MODELS, "network_without_digest"])
def test_a_model(name: str, each_engine: str) -> None:
    path, expected = FOLDER / f"{name}.bptt", stored(name.removesuffix("_without_digest"))
    model = bptt.load(path, cells=[Leaky])
    x, lengths = expected.pop("x"), expected.pop("lengths")
    assert_close(outputs(model, x, lengths), expected, FLOAT64 if model.dtype == np.float64 else FLOAT32)
    assert read_extra(path) == {"made": "for the tests", "numbers": [1, 0.1, None]}


def test_an_own_cell_still_has_to_be_handed_in() -> None:
    with pytest.raises(FileFormatError, match="must be handed in"):
        bptt.load(FOLDER / "network_own_cell.bptt")


@pytest.mark.parametrize("name", [*FORECASTERS, "forecaster_ridge_without_digest"])
def test_a_forecaster(name: str, each_engine: str, tmp_path: Path) -> None:
    expected = stored(name.removesuffix("_without_digest"))
    table = {
        key.removeprefix("input."): expected.pop(key) for key in list(expected) if key.startswith("input.")
    }
    model: Forecaster = bptt.load(FOLDER / f"{name}.bptt")
    assert_close(forecasts(model, table), expected, FLOAT64)
    # Saved again it is a file that says the same.
    again: Forecaster = bptt.load(model.save(tmp_path / "again.bptt"))
    assert_close(forecasts(again, table), expected, FLOAT64)


def test_a_checkpoint_is_read_and_gone_on_with(tmp_path: Path) -> None:
    path, expected = Path(shutil.copy(FOLDER / "checkpoint.ckpt", tmp_path)), stored("checkpoint")
    values, losses = expected.pop("values"), expected.pop("losses")
    kept = read_checkpoint(path)
    assert (kept.step, kept.ended, kept.best.seen) == (9, False, 2)
    assert_close({"losses": kept.rows[:, 0]}, {"losses": losses[:9]}, FLOAT64)
    net, settings = checkpoint_run(values)
    history = train(net, **settings, checkpoint=path, resume=True)
    assert history.steps == 16
    assert_close({"losses": history.losses, **net.parameters}, {"losses": losses, **expected}, TRAINED)


def test_a_numpy_script(tmp_path: Path) -> None:
    path = Path(shutil.copy(FOLDER / "numpy_script.txt", tmp_path / "numpy_script.py"))
    spec = importlib.util.spec_from_file_location("golden_numpy_script", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    expected = stored("numpy_script")
    assert_close({"y_hat": script.predict(expected.pop("x"))}, expected, FLOAT64)
