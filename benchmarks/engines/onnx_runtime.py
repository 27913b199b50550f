"""ONNX Runtime: inference of our weights as the operators RNN, LSTM and GRU, and single steps from a kept state."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.jobs import Array, Arrays, Problem

OPERATORS = {"elman": "RNN", "lstm": "LSTM", "gru": "GRU"}
# Where each of ONNX's gates stands among ours: i o f c of i f g o; z r h of r z n.
ORDER = {"elman": (0,), "lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}
KIND_OF = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


def version() -> str:
    return str(onnxruntime.__version__)


def gates(array: Array, cell: str, H: int) -> Array:
    """Return (..., G * H) in ONNX's order of gates."""
    blocks = [array[..., k * H : (k + 1) * H] for k in ORDER[cell]]
    return np.ascontiguousarray(np.concatenate(blocks, axis=-1))


def make_model(problem: Problem, *, carried: bool = False) -> Any:
    """Return a model from x (T, B, D) to y_hat (B, K); with `carried`, from x and states to y_hat and states."""
    job, cell, p = problem.job, problem.cell, problem.parameters
    H, kind = job.H, KIND_OF[problem.dtype.name]
    recurrent_bias = np.zeros_like(p["layers.0.b_h"])
    if cell == "gru":
        recurrent_bias[2 * H :] = p["layers.0.b_hn"]
    biases = [gates(b, cell, H) for b in (p["layers.0.b_h"], recurrent_bias)]
    weights = {
        "W": gates(p["layers.0.W_xh"], cell, H).T[None],
        "R": gates(p["layers.0.W_hh"], cell, H).T[None],
        "B": np.concatenate(biases)[None],
        "W_hy": p["readout.W_hy"],
        "b_y": p["readout.b_y"],
        "first": np.array([0], np.int64),
    }
    states = ["h", "c"] if cell == "lstm" else ["h"]
    before = [f"{s}_0" for s in states] if carried else []
    options: dict[str, Any] = {"linear_before_reset": 1} if cell == "gru" else {}
    nodes = [
        helper.make_node(
            OPERATORS[cell],
            ["x", "W", "R", "B", *(["", *before] if carried else [])],
            ["", *(f"{s}_T" for s in states)],
            hidden_size=H,
            **options,
        ),
        helper.make_node("Squeeze", ["h_T", "first"], ["top"]),
        helper.make_node("MatMul", ["top", "W_hy"], ["product"]),
        helper.make_node("Add", ["product", "b_y"], ["y_hat"]),
    ]
    shape = [1, "rows", H]
    inputs = [("x", ["steps", "rows", job.D]), *((name, shape) for name in before)]
    outputs = [("y_hat", ["rows", job.K]), *((f"{s}_T", shape) for s in states if carried)]
    graph = helper.make_graph(
        nodes,
        "bptt",
        [helper.make_tensor_value_info(name, kind, size) for name, size in inputs],
        [helper.make_tensor_value_info(name, kind, size) for name, size in outputs],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def start(model: Any, threads: int) -> Any:
    """Return a session on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class Inference:
    """Predictions of many windows."""

    def __init__(self, problem: Problem, threads: int) -> None:
        self.session = start(make_model(problem), threads)
        self.feed = {"x": np.ascontiguousarray(problem.x.transpose(1, 0, 2))}

    def found(self) -> Arrays:
        return {"y_hat": self.session.run(["y_hat"], self.feed)[0]}

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.session.run(["y_hat"], self.feed)


class Stream:
    """One step from a state that the caller hands back; the median step counts."""

    def __init__(self, problem: Problem, threads: int) -> None:  # noqa: ARG002  # one sequence
        self.session = start(make_model(problem, carried=True), 1)
        self.outputs = [found.name for found in self.session.get_outputs()]
        self.states = [name.replace("_T", "_0") for name in self.outputs[1:]]
        self.zero = {name: np.zeros((1, 1, problem.job.H), problem.dtype) for name in self.states}
        self.x = [np.ascontiguousarray(x_t[None, None]) for x_t in problem.x[0]]

    def found(self) -> Arrays:
        feed, rows = dict(self.zero), []
        for x_t in self.x:
            y_hat, *state = self.session.run(self.outputs, {"x": x_t, **feed})
            feed = dict(zip(self.states, state, strict=True))
            rows.append(y_hat[0])
        return {"y_hat": np.stack(rows)}

    def run(self, steps: int) -> float:
        spent, feed, clock = np.empty(steps, np.int64), dict(self.zero), time.perf_counter_ns
        for k in range(steps):
            x_t = self.x[k % len(self.x)]
            begun = clock()
            _, *state = self.session.run(self.outputs, {"x": x_t, **feed})
            feed = dict(zip(self.states, state, strict=True))
            spent[k] = clock() - begun
        return float(np.median(spent)) * 1e-9 * steps


KINDS = {"inference": Inference, "stream": Stream}
