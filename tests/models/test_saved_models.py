"""A loaded model is the saved one: outputs to the bit, files to the byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.data.examples.arrays import Arrays
from bptt.losses import LOSSES
from bptt.models import load, read_extra, save
from bptt.network import Network
from bptt.training import train
from tests.models.made import MODELS, D, K, Minimal, T, outputs, randomised, stack


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_is_the_saved_one_to_the_bit(
    rng: np.random.Generator, tmp_path: Path, name: str
) -> None:
    model = randomised(MODELS[name](), rng)
    assert save(model, tmp_path / "m.bptt") == tmp_path / "m.bptt"
    found = load(str(tmp_path / "m.bptt"), cells=[Minimal])
    assert type(found) is type(model)
    assert found.config() == model.config()
    assert list(found.parameters) == list(model.parameters)
    for key, p in model.parameters.items():
        assert found.parameters[key].dtype == p.dtype
        np.testing.assert_array_equal(found.parameters[key], p)
    for mine, its in zip(outputs(model, _same(rng)), outputs(found, _same(rng)), strict=True):
        np.testing.assert_array_equal(its, mine)
    # Saved again, it is the same file.
    save(found, tmp_path / "again.bptt")
    assert (tmp_path / "again.bptt").read_bytes() == (tmp_path / "m.bptt").read_bytes()


def _same(rng: np.random.Generator) -> np.random.Generator:
    return np.random.default_rng(5)


def test_every_registered_loss_comes_back(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"pinball": {"quantiles": (0.3, 0.7)}}
    for kind, made in LOSSES.items():
        net = Network(stack(), K, loss=made(**settings.get(kind, {}), time="sum"))
        found = load(save(net, tmp_path / kind))
        assert found.loss == net.loss


def test_a_loaded_network_trains_on_like_the_saved_one(rng: np.random.Generator, tmp_path: Path) -> None:
    data = Arrays(rng.standard_normal((9, T, D)), rng.standard_normal((9, K)))
    net = Network(stack(dropout=0.3, num_layers=2), K)
    train(net, data, steps=3, progress=False)
    found = load(save(net, tmp_path / "m"))
    for each in (net, found):
        train(each, data, steps=3, seed=8, progress=False)
    for key, p in net.parameters.items():
        np.testing.assert_array_equal(found.parameters[key], p)
    # The parts of a loaded network are tied together as in a new one.
    assert found.parameters["layers.0.W_hh"] is found.recurrent.parameters["layers.0.W_hh"]


def test_extra_comes_back(tmp_path: Path) -> None:
    extra = {"scaler": {"mean": [0.1, 1e-300]}, "data_sha256": "ab", "none": None}
    path = save(stack(), tmp_path / "m", extra=extra)
    assert read_extra(path) == extra
    assert read_extra(save(stack(), path)) == {}


def test_the_same_model_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    script = (
        "from bptt.network import Network, Recurrent; from bptt.models import save; import hashlib, sys;"
        "path = save(Network(Recurrent('lstm', 3, 5), 2), sys.argv[1], extra={'b': 1, 'a': 2});"
        "print(hashlib.sha256(path.read_bytes()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "m")],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for _ in range(2)
    }
    assert len(found) == 1


def test_loading_draws_no_starting_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(Network(stack(), K), tmp_path / "m")

    def refuse(*args: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(np.linalg, "qr", refuse)
    load(path)
