"""Writes the golden files that are not there yet: `python -m tests.golden.make`.

A file that is there is never written again: it stands for those that users have. Beside each lie inputs and what came
out of the model that was saved, as plain arrays.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import numpy as np

import bptt
from bptt.interop.numpy_script import to_numpy_script
from bptt.network import Network, Recurrent
from bptt.training import train
from tests.files.sealing import joined, parts_of
from tests.golden.cases import FOLDER, FORECASTERS, MODELS, B, D, T, checkpoint_run
from tests.golden.outputs import forecasts, outputs


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, make in MODELS.items():
        if not (FOLDER / f"{name}.bptt").exists():
            _write_model(name, make())
    for name, (table, forecaster) in FORECASTERS.items():
        if not (FOLDER / f"{name}.bptt").exists():
            _write_forecaster(name, table(_rng(name)), forecaster())
    for name in ("network", "forecaster_ridge"):
        _write_without_digest(name)
    if not (FOLDER / "checkpoint.ckpt").exists():
        _write_checkpoint(_rng("checkpoint"))
    if not (FOLDER / "numpy_script.txt").exists():
        _write_script()
    _list_new()


def _list_new() -> None:
    """Add the digests of new files to the list; those in it stay."""
    listed = FOLDER / "sha256.txt"
    lines = listed.read_text().splitlines() if listed.exists() else []
    known = {line.split()[1] for line in lines}
    for path in sorted(FOLDER.iterdir()):
        if path.name not in {*known, listed.name, ".gitattributes"}:
            lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.name}")
    listed.write_text("\n".join(lines) + "\n")


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def _randomised(model: Any, rng: np.random.Generator) -> Any:
    for p in model.parameters.values():
        p[...] = 0.5 * rng.standard_normal(p.shape)
    return model


def _write_model(name: str, model: Recurrent | Network) -> None:
    rng = _rng(name)
    _randomised(model, rng)
    x, lengths = rng.standard_normal((B, T, model.input_size)), np.array([T, 2, 5, 1])
    bptt.save(model, FOLDER / f"{name}.bptt", extra={"made": "for the tests", "numbers": [1, 0.1, None]})
    np.savez_compressed(FOLDER / f"{name}.npz", x=x, lengths=lengths, **outputs(model, x, lengths))


def _write_forecaster(name: str, table: dict[str, Any], forecaster: Any) -> None:
    forecaster.fit(table, progress=False)
    assert forecaster.fitted.trained.kind == name.split("_")[1], forecaster
    forecaster.save(FOLDER / f"{name}.bptt")
    inputs = {f"input.{column}": values for column, values in table.items()}
    np.savez_compressed(FOLDER / f"{name}.npz", **inputs, **forecasts(forecaster, table))


def _write_without_digest(name: str) -> None:
    """The first files of version 1 did not state their digest."""
    path = FOLDER / f"{name}_without_digest.bptt"
    if not path.exists():
        header, description, data = parts_of((FOLDER / f"{name}.bptt").read_bytes())
        del description["sha256"]
        path.write_bytes(joined(header, description, data, seal=False))


def _write_checkpoint(rng: np.random.Generator) -> None:
    def stop(event: Any) -> None:
        if event.step == 8:
            raise KeyboardInterrupt

    values = rng.standard_normal((90, D)).cumsum(axis=0) / 3
    net, settings = checkpoint_run(values)
    train(net, **settings, callbacks=[stop], checkpoint=FOLDER / "checkpoint.ckpt")
    net, settings = checkpoint_run(values)
    history = train(net, **settings)
    np.savez_compressed(FOLDER / "checkpoint.npz", values=values, losses=history.losses, **net.parameters)


def _write_script() -> None:
    rng = _rng("numpy_script")
    net = _randomised(MODELS["network"](), rng)
    path = to_numpy_script(net, FOLDER / "numpy_script.py")
    path.rename(path.with_suffix(".txt"))  # no code of ours, and not to be looked at as such
    x = rng.standard_normal((B, T, net.input_size))
    np.savez_compressed(FOLDER / "numpy_script.npz", x=x, y_hat=net.predict(x))


if __name__ == "__main__":
    main()
