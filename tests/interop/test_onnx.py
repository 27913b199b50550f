"""ONNX models against the networks that they were made of, in ONNX Runtime, for any batch and length."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.activations import exp, log, relu, sigmoid, softplus, spike, sqrt, step, tanh
from bptt.cells import Cell
from bptt.errors import FileMissing, InvalidInput, InvalidType, LibraryMissing
from bptt.interop import to_onnx
from bptt.interop.onnx_export import network_graph
from bptt.interop.onnx_graph import Graph
from bptt.network import Network, Recurrent
from tests.interop.test_numpy_script import CASES, D, H, K, make
from tests.pytorch_names import tensor_error

# float32 in ONNX Runtime against our float64, of the largest entry; measured at 5e-7.
AGREES = 1e-5

SIZES = [(1, 1), (5, 2), (3, 40)]  # (batch, time)


class EveryFunction(Cell):
    """Uses each function that a formula may call, a minus sign, a constant and a chosen function's derivative."""

    name = "every_function"
    states = ("h", "e")
    gates = ("n", "k")
    vectors = {"p_a": 0.5, "b_a": 0.1}
    constants = {"rate": 0.25}
    functions = {"squash": "softplus"}

    @staticmethod
    def forward(
        a_n: Any,
        a_k: Any,
        h_prev: Any,
        e_prev: Any,
        p_a: Any,
        b_a: Any,
        rate: Any,
        squash: Any,
        squash_derivative: Any,
    ) -> Any:
        n = squash(a_n)
        m = squash_derivative(n) * rate + sqrt(exp(-a_k) + 1)
        u = log(1 + relu(a_k)) - step(a_k) / 3 + spike(a_n + 0.3)
        e = tanh(e_prev * p_a + u + b_a)
        h = sigmoid(m) * tanh(n - e) + (1 - sigmoid(m)) * h_prev * softplus(-e)
        return h, e


def session(path: Path) -> Any:
    runtime = pytest.importorskip(
        "onnxruntime", reason="ONNX Runtime is not installed: pip install onnxruntime"
    )
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def compare(net: Network | Recurrent, path: Path, given: bool, rng: np.random.Generator) -> None:
    """Run both on rows of several sizes, with one loaded model."""
    model = session(path)
    stack = net if isinstance(net, Recurrent) else net.recurrent
    for B, T in SIZES:
        x = rng.standard_normal((B, T, net.input_size))
        state = {name: rng.standard_normal(stack.state_shape(B)) for name in stack.states} if given else {}
        feed = {"x": x, **{f"{name}_0": s for name, s in state.items()}}
        options = {}
        if given and isinstance(net, Network) and net.feedback:
            feed["y_start"] = options["y_start"] = rng.standard_normal((B, net.output_size))
        names = [each.name for each in model.get_outputs()]
        found = dict(
            zip(names, model.run(None, {k: v.astype(np.float32) for k, v in feed.items()}), strict=True)
        )
        if isinstance(net, Network):
            passed = net.forward(x, state or None, tape=False, **options)
            wanted, final = {"y_hat": passed.y_hat}, passed.state
        else:
            h, final, _ = net.forward(x, state or None)
            wanted = {"h": h}
        wanted |= {f"{name}_n": s for name, s in final.items()}
        assert list(found) == list(wanted)
        for name, value in wanted.items():
            assert tensor_error(found[name], value) < AGREES, (name, B, T)


def used_names(graph: Graph) -> set[str]:
    found = {name for node in graph.nodes for name in node.inputs}
    for node in graph.nodes:
        for value in node.attributes.values():
            found |= used_names(value) if isinstance(value, Graph) else set()
    return found


@pytest.mark.parametrize("name", CASES)
def test_graphs_hold_nothing_that_is_not_used(name: str, rng: np.random.Generator) -> None:
    net = make(CASES[name], "float64", rng, engine="numpy")
    for state in (True, False):
        graph = network_graph(net, state=state)
        wanted = used_names(graph) | {"y_start"}
        assert {value.name for value in graph.inputs} <= wanted
        assert set(graph.constants) <= wanted
        made = [name for node in graph.nodes for name in node.outputs]
        assert len(set(made)) == len(made)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    pytest.importorskip("onnx", reason="the library onnx is not installed: pip install 'bptt[onnx]'")
    return tmp_path / "net.onnx"


@pytest.mark.parametrize("name", CASES)
def test_networks(name: str, exported: Path, rng: np.random.Generator) -> None:
    net = make(CASES[name], "float64", rng, engine="numpy")
    for given in (True, False):
        assert to_onnx(net, exported, state=given) == exported
        compare(net, exported, given, rng)


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        *(("elman", {"activation": name}) for name in ("tanh", "relu", "sigmoid", "identity", "softplus")),
        ("lstm_peephole", {"bias": False}),
        ("gru_reset_before", {}),
        (EveryFunction, {}),
        (EveryFunction(squash="sigmoid", rate=-0.5), {"bias": False}),
    ],
)
def test_stacks_alone_in_every_direction(
    cell: Any, options: dict[str, Any], exported: Path, rng: np.random.Generator
) -> None:
    for direction, layers in (("forward", 1), ("reverse", 2), ("bidirectional", 2)):
        stack = Recurrent(cell, D, H, num_layers=layers, direction=direction, engine="numpy", **options)
        for name, p in stack.parameters.items():
            p[...] = rng.standard_normal(p.shape) * (0.7 / np.sqrt(H) if ".W_hh" in name else 0.4)
        to_onnx(stack, exported)
        compare(stack, exported, True, rng)


def test_every_chosen_function_has_its_derivative(exported: Path, rng: np.random.Generator) -> None:
    for name in ("tanh", "relu", "identity"):
        stack = Recurrent(EveryFunction(squash=name), D, H, engine="numpy")
        to_onnx(stack, exported)
        compare(stack, exported, True, rng)


def test_feedback_without_any_input(exported: Path, rng: np.random.Generator) -> None:
    net = Network(Recurrent("gru", K, H), K, feedback=True, readout="every")
    to_onnx(net, exported)
    compare(net, exported, True, rng)


def test_a_long_series_in_pieces(exported: Path, rng: np.random.Generator) -> None:
    net = make(("lstm", {"num_layers": 2}, {"readout": "every"}), "float32", rng)
    to_onnx(net, exported)
    model = session(exported)
    x = rng.standard_normal((2, 50, D)).astype(np.float32)
    state = {name: np.zeros(net.recurrent.state_shape(2), np.float32) for name in "hc"}
    parts = []
    for piece in np.split(x, [1, 20, 21], axis=1):
        y, h, c = model.run(None, {"x": piece, "h_0": state["h"], "c_0": state["c"]})
        parts.append(y)
        state = {"h": h, "c": c}
    assert tensor_error(np.concatenate(parts, axis=1), net.predict(x)) < AGREES


def test_what_the_file_says_about_itself(exported: Path) -> None:
    onnx = pytest.importorskip("onnx")
    net = Network(Recurrent("lstm", 3, 4, num_layers=2, direction="bidirectional"), 2)
    to_onnx(net, exported)
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)

    def shapes(values: Any) -> dict[str, list[Any]]:
        return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}

    state = [4, "batch", 4]
    assert shapes(model.graph.input) == {"x": ["batch", "time", 3], "h_0": state, "c_0": state}
    assert shapes(model.graph.output) == {"y_hat": ["batch", 2], "h_n": state, "c_n": state}
    assert [node.op_type for node in model.graph.node].count("LSTM") == 2
    assert model.producer_name == "bptt"


def test_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Network(Recurrent("lstm", 2, 3))
    with pytest.raises(InvalidType, match=r"net must be a Network or a Recurrent\. Got dict"):
        to_onnx({}, tmp_path / "n.onnx")  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match=r"path must be text or a path\. Got None"):
        to_onnx(net, None)  # type: ignore[arg-type]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnx", None)
        with pytest.raises(LibraryMissing, match=re.escape("Got none: pip install 'bptt[onnx]'")):
            to_onnx(net, tmp_path / "n.onnx")
    pytest.importorskip("onnx")
    with pytest.raises(FileMissing, match="make the folder"):
        to_onnx(net, tmp_path / "none" / "n.onnx")
    with pytest.raises(InvalidInput, match="that is a folder"):
        to_onnx(net, tmp_path)
