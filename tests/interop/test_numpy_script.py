"""The script with the weights in it predicts what the network predicts, where nothing but NumPy can be imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.errors import FileMissing, InvalidInput, InvalidType
from bptt.interop import to_numpy_script
from bptt.network import Network, Recurrent
from tests.cells.foreign import CoupledOscillator, LeakyUnit, MinimalGatedUnit

# The two add in another order, with a recurrent gain below 1; the file's bounds.
AGREES = {"float64": 1e-12, "float32": 1e-6}

B, T, D, H, K = 5, 7, 3, 4, 2
LENGTHS = np.array([7, 1, 4, 7, 2])

# Whatever is asked for and is neither NumPy nor of the standard library is not there.
RUN = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in {*sys.stdlib_module_names, "numpy", "exported"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
sys.path.insert(0, sys.argv[1])
import numpy as np
import importlib
given = np.load(sys.argv[1] + "/given.npz")
found = {}
for name in sys.argv[2:]:
    module = importlib.import_module("exported." + name)
    mine = {k.partition(":")[2]: v for k, v in given.items() if k.startswith(name + ":")}
    state = {k[6:]: v for k, v in mine.items() if k.startswith("state.")}
    plain = {k: v for k, v in mine.items() if not k.startswith("state.")}
    y, final = module.run(**plain, state=state or None)
    assert y.dtype == module.DTYPE, (y.dtype, module.DTYPE)
    again = module.predict(**plain, state=state or None)
    assert np.array_equal(y, again, equal_nan=True)
    found[name + ":y"] = y
    found.update({name + ":" + k: v for k, v in final.items()})
assert not {"bptt", "llvmlite", "safetensors"} & set(sys.modules)
np.savez(sys.argv[1] + "/found.npz", **found)
"""

Case = tuple[Any, dict[str, Any], dict[str, Any]]
CASES: dict[str, Case] = {
    "elman": ("elman", {}, {}),
    "relu": ("elman", {"activation": "relu", "num_layers": 2}, {"readout": "every"}),
    "softplus": ("elman", {"activation": "softplus", "bias": False}, {"bias": False}),
    "gru": ("gru", {"num_layers": 2, "direction": "bidirectional"}, {"readout": "every"}),
    "gru_no_bias": ("gru", {"bias": False, "direction": "reverse"}, {}),
    "reset_before": ("gru_reset_before", {"direction": "bidirectional"}, {"output_activation": "sigmoid"}),
    "lstm": ("lstm", {"num_layers": 3}, {"learned_initial_state": True}),
    "peepholes": ("lstm_peephole", {}, {"linear_lags": 3, "change_of": [2, 0], "change_scale": 0.3}),
    "every": ("lstm", {}, {"linear_lags": 9, "change_of": [1, 1], "readout": "every"}),
    "feedback": ("lstm", {"num_layers": 2}, {"feedback": True, "readout": "every", "change_of": [0, 4]}),
    "feedback_last": ("gru", {}, {"feedback": True, "output_activation": "tanh"}),
    "leaky": (LeakyUnit, {"num_layers": 2}, {}),
    "minimal": (MinimalGatedUnit, {}, {}),
    "oscillator": (CoupledOscillator, {}, {"readout": "every"}),
    "constrained": (
        "gru", {"mask": np.triu(np.ones((H, H))), "signs": [1, -1, 1, 1]}, {"loss": "huber"},
    ),
}  # fmt: skip


def make(case: Case, dtype: str, rng: np.random.Generator, engine: str = "auto") -> Network:
    """Return a network of random weights."""
    cell, options, settings = case
    inputs = D + (K if settings.get("feedback") else 0)
    net = Network(Recurrent(cell, inputs, H, dtype=dtype, engine=engine, **options), K, **settings)
    for name, p in net.parameters.items():
        p[...] = rng.standard_normal(p.shape) * (0.8 / np.sqrt(H) if ".W_h" in name else 0.4)
    return net


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_scripts_predict_what_networks_predict(dtype: str, tmp_path: Path, rng: np.random.Generator) -> None:
    folder = tmp_path / "exported"
    folder.mkdir()
    given: dict[str, Any] = {}
    wanted: dict[str, Any] = {}
    for name, case in CASES.items():
        net = make(case, dtype, rng)
        assert to_numpy_script(net, folder / f"{name}.py") == folder / f"{name}.py"
        x = rng.standard_normal((B, T, D)).astype(dtype)
        state0 = {s: rng.standard_normal(net.recurrent.state_shape(B)) for s in net.recurrent.states}
        # Once with all that can be given, once with x alone.
        options: dict[str, Any] = (
            {"y_start": rng.standard_normal((B, K))} if net.feedback else {"lengths": LENGTHS}
        )
        if name in ("lstm", "feedback_last"):
            options, state0 = {}, {}
        passed = net.forward(x, state0 or None, tape=False, **options)
        given |= {f"{name}:{k}": v for k, v in {"x": x, **options}.items()}
        given |= {f"{name}:state.{k}": v for k, v in state0.items()}
        wanted |= {f"{name}:y": passed.y_hat, **{f"{name}:{k}": v for k, v in passed.state.items()}}
    np.savez(tmp_path / "given.npz", **given)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, str(tmp_path), *CASES],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "found.npz") as found:
        assert set(found.files) == set(wanted)
        for name, value in wanted.items():
            apart = np.max(np.abs(found[name] - value))
            assert apart <= AGREES[dtype] * max(np.max(np.abs(value)), 1e-3), (name, apart)


def test_as_a_command_on_files(tmp_path: Path, rng: np.random.Generator) -> None:
    net = make(CASES["gru"], "float64", rng)
    script = to_numpy_script(net, tmp_path / "predict.py")
    x = rng.standard_normal((4, 6, D))
    np.save(tmp_path / "x.npy", x)
    np.savetxt(tmp_path / "window.csv", x[1], delimiter=",")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", script.name, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert run("x.npy", "y.npy").returncode == 0
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), net.predict(x), rtol=0, atol=1e-12)
    printed = run("window.csv")
    assert printed.returncode == 0, printed.stderr
    rows = [[float(cell) for cell in line.split(",")] for line in printed.stdout.splitlines()]
    np.testing.assert_allclose(rows, net.predict(x[1:2])[0], rtol=0, atol=1e-12)
    assert run().returncode == 2


def test_what_the_script_refuses(tmp_path: Path, rng: np.random.Generator) -> None:
    script = to_numpy_script(make(CASES["lstm"], "float64", rng), tmp_path / "predict.py")
    module: dict[str, Any] = {"__name__": "predict"}
    exec(compile(script.read_text(), script, "exec"), module)  # noqa: S102  # our own file
    x = rng.standard_normal((B, T, D))
    for options, words in (
        ({"x": x[0]}, "x must have shape"),
        ({"x": x[:, :, :2]}, "x must have shape"),
        ({"x": x[:, :0]}, "x must have shape"),
        ({"x": x, "lengths": [8] * B}, "1..T = 1..7"),
        ({"x": x, "lengths": [2.5] * B}, "whole numbers"),
        ({"x": x, "state": {"h": np.zeros((1, B, H))}}, "state must have h, c"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            module["predict"](**options)


def test_size_text_and_names(tmp_path: Path) -> None:
    net = Network(Recurrent("lstm", 8, 64, dtype="float32"), 1)
    script = to_numpy_script(net, tmp_path / 'odd """ name.py')
    text = script.read_text()
    compile(text, "predict.py", "exec")
    weights = sum(p.nbytes for p in net.parameters.values())
    assert len(text) < 1.4 * weights + 10_000
    assert max(map(len, text.splitlines())) < 140
    assert '"""' not in text.partition("python ")[2].partition("\n")[0]


def test_refused(tmp_path: Path) -> None:
    net = Network(Recurrent("lstm", 2, 3))
    with pytest.raises(InvalidType, match=r"net must be a Network\. Got Recurrent"):
        to_numpy_script(net.recurrent, tmp_path / "p.py")  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match=r"path must be text or a path\. Got 7"):
        to_numpy_script(net, 7)  # type: ignore[arg-type]
    with pytest.raises(FileMissing, match="make the folder"):
        to_numpy_script(net, tmp_path / "none" / "p.py")
    with pytest.raises(InvalidInput, match="that is a folder"):
        to_numpy_script(net, tmp_path)
